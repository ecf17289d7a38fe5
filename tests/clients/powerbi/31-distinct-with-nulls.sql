select "_"."status",
    "_"."a0",
    "_"."a1"
from 
(
    select "rows"."status" as "status",
        count(distinct "rows"."humidity") + max(case
            when "rows"."humidity" is null then 1
            else 0
        end) as "a0",
        count("rows"."humidity") as "a1"
    from 
    (
        select "status",
            "humidity"
        from "public"."iot_device_events" "$Table"
    ) "rows"
    group by "status"
) "_"
where not "_"."a0" is null or not "_"."a1" is null
limit 1000001