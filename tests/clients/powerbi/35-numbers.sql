select "_"."deviceId",
    floor("_"."temperature") as "floor",
    ceiling("_"."temperature") as "ceiling",
    round(cast("_"."temperature" as numeric), 1) as "round",
    abs(cast("_"."temperature" as decimal(10, 2))) as "abs",
    "_"."eventOffset" % 7 as "rest",
    cast("_"."eventOffset" as double precision) / 4 as "quarter",
    power(2, 3) as "power"
from "public"."iot_device_events" "_"
where "_"."temperature" is not null and ("_"."temperature" < 0 or "_"."temperature" > 40)
order by "_"."temperature"
limit 10