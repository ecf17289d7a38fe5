select "_"."status",
    "_"."a0"
from 
(
    select "rows"."status" as "status",
        count(1) as "a0"
    from 
    (
        select "status"
        from "public"."iot_device_events" "$Table"
    ) "rows"
    group by "status"
) "_"
where not "_"."a0" is null
limit 1000001