select "_"."semijoin1.c30" as "c30",
    "_"."a0" as "a0"
from 
(
    select "rows"."semijoin1.c30" as "semijoin1.c30",
        count(distinct "rows"."basetable0.a0") as "a0"
    from 
    (
        select "$Outer"."basetable0.a0",
            "$Inner"."semijoin1.c30"
        from 
        (
            select "deviceId" as "basetable0.c22",
                "eventId" as "basetable0.a0"
            from "public"."iot_device_events" "$Table"
        ) "$Outer"
        inner join 
        (
            select "rows"."window_start" as "semijoin1.c30",
                "rows"."deviceId" as "semijoin1.c22"
            from 
            (
                select "window_start",
                    "deviceId"
                from "public"."device_temperature" "$Table"
            ) "rows"
            group by "window_start",
                "deviceId"
        ) "$Inner" on ("$Outer"."basetable0.c22" = "$Inner"."semijoin1.c22" or "$Outer"."basetable0.c22" is null and "$Inner"."semijoin1.c22" is null)
    ) "rows"
    group by "semijoin1.c30"
) "_"
where not "_"."a0" is null
limit 1000001