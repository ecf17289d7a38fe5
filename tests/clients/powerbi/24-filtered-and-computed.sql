select "_"."customer",
    "_"."a0",
    "_"."a1"
from 
(
    select "rows"."customer" as "customer",
        min("rows"."temperature") as "a0",
        max("rows"."eventTime") as "a1"
    from 
    (
        select "_"."eventTime" as "eventTime",
            "_"."status" as "status",
            "_"."temperature" as "temperature",
            lower("_"."customerId") as "customer"
        from 
        (
            select "_"."eventTime",
                "_"."customerId",
                "_"."status",
                "_"."temperature"
            from 
            (
                select "eventTime",
                    "customerId",
                    "status",
                    "temperature"
                from "public"."iot_device_events" "$Table"
            ) "_"
            where ("_"."eventTime" < timestamp '2026-01-05 11:18:00' and "_"."eventTime" >= timestamp '2026-01-05 11:14:00') and ("_"."status" in ('SUCCESS', 'STANDBY'))
        ) "_"
    ) "rows"
    group by "customer"
) "_"
where not "_"."a0" is null or not "_"."a1" is null
limit 1000001