select "_"."window_start",
    "_"."status",
    "_"."a0"
from 
(
    select "rows"."window_start" as "window_start",
        "rows"."status" as "status",
        sum(cast("rows"."events" as decimal)) as "a0"
    from 
    (
        select "window_start",
            "status",
            "events"
        from "public"."device_status" "$Table"
    ) "rows"
    group by "window_start",
        "status"
) "_"
where not "_"."a0" is null
limit 1000001