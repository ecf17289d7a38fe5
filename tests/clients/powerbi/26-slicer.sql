select "_"."customerId"
from 
(
    select "rows"."customerId" as "customerId"
    from 
    (
        select "customerId"
        from "public"."iot_device_events" "$Table"
    ) "rows"
    group by "customerId"
) "_"
order by "_"."customerId" nulls first
limit 101