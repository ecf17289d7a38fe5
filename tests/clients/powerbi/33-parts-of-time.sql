select "_"."year",
    "_"."hour",
    "_"."minute",
    "_"."a0"
from 
(
    select "rows"."year" as "year",
        "rows"."hour" as "hour",
        "rows"."minute" as "minute",
        count(1) as "a0"
    from 
    (
        select cast(extract(year from "_"."eventTime") as integer) as "year",
            date_part('hour', "_"."eventTime") as "hour",
            date_trunc('minute', "_"."eventTime") as "minute"
        from "public"."iot_device_events" "_"
        where "_"."eventTime" >= timestamptz '2026-01-05 11:14:00+00' and "_"."eventTime" < timestamptz '2026-01-05 11:14:00+00' + interval '3 minutes'
    ) "rows"
    group by "year",
        "hour",
        "minute"
) "_"
order by "_"."minute" nulls first
limit 1000001