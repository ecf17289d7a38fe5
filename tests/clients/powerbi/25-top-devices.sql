select "_"."deviceId" as "deviceId",
    "_"."a0" as "a0"
from 
(
    select "rows"."deviceId" as "deviceId",
        count(1) as "a0"
    from 
    (
        select "deviceId"
        from "public"."iot_device_events" "$Table"
    ) "rows"
    group by "deviceId"
) "_"
order by "_"."a0" desc nulls last,
        "_"."deviceId" nulls first
limit 3