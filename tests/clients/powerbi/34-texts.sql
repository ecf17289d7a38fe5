select "_"."deviceId",
    upper("_"."status") as "upper",
    length("_"."deviceId") as "length",
    substring("_"."eventId" from 1 for 8) as "head",
    "_"."customerId" || '/' || "_"."deviceId" as "both",
    replace("_"."customerId", 'CI', '') as "number",
    coalesce(cast("_"."humidity" as varchar), 'none') as "humidity"
from "public"."iot_device_events" "_"
where "_"."status" like 'S%' and position('CC' in "_"."status") > 0 and strpos("_"."deviceId", 'D') = 1 and not ("_"."deviceId" in ('D009', 'it''s'))
order by "_"."eventOffset",
        "_"."deviceId"
limit 5