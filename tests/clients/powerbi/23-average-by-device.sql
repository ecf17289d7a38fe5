select "_"."deviceId",
    "_"."a0",
    "_"."a1"
from 
(
    select "rows"."deviceId" as "deviceId",
        avg("rows"."temperature") as "a0",
        sum("rows"."pressure") as "a1"
    from 
    (
        select "deviceId",
            "temperature",
            "pressure"
        from "public"."iot_device_events" "$Table"
    ) "rows"
    group by "deviceId"
) "_"
where not "_"."a0" is null or not "_"."a1" is null
limit 1000001