select "_"."deviceId",
    "_"."a0"
from 
(
    select "rows"."deviceId" as "deviceId",
        count("rows"."humidity") as "a0"
    from 
    (
        select "_"."deviceId",
            "_"."humidity"
        from "public"."iot_device_events" "_"
        where "_"."deviceId" = U&'D"4''s \+01F321' or "_"."deviceId" like 'D00%'
    ) "rows"
    group by "deviceId"
) "_"
where not "_"."a0" is null
limit 1000001