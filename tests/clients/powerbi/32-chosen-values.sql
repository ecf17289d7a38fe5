select "_"."semijoin1.c1" as "c1",
    "_"."basetable0.c2" as "c2",
    "_"."a0" as "a0"
from 
(
    select "rows"."semijoin1.c1" as "semijoin1.c1",
        "rows"."basetable0.c2" as "basetable0.c2",
        count(1) as "a0"
    from 
    (
        select "$Outer"."basetable0.c2",
            "$Inner"."semijoin1.c1"
        from 
        (
            select "customerId" as "basetable0.c1",
                "status" as "basetable0.c2"
            from "public"."iot_device_events" "$Table"
        ) "$Outer"
        inner join 
        (
            select 'first' as "semijoin1.c1",
                'CI00101' as "semijoin1.c3"
            union all 
            select 'second' as "semijoin1.c1",
                'CI00102' as "semijoin1.c3"
            union all 
            select 'nobody' as "semijoin1.c1",
                null as "semijoin1.c3"
        ) "$Inner" on ("$Outer"."basetable0.c1" = "$Inner"."semijoin1.c3" or "$Outer"."basetable0.c1" is null and "$Inner"."semijoin1.c3" is null)
    ) "rows"
    group by "semijoin1.c1",
        "basetable0.c2"
) "_"
where not "_"."a0" is null
limit 1000001