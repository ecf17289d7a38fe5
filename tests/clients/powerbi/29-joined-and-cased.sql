select "$Outer"."deviceId",
    "$Outer"."status",
    "$Inner"."avg_temperature",
    case
        when "$Outer"."temperature" is null then 'unknown'
        when "$Outer"."temperature" > 30 then 'hot'
        else 'fine'
    end as "state",
    cast("$Outer"."eventTime" as date) as "day",
    cast("$Outer"."eventOffset" as varchar(20)) as "offset"
from 
(
    select "_"."deviceId" as "deviceId",
        "_"."status" as "status",
        "_"."temperature" as "temperature",
        "_"."eventTime" as "eventTime",
        "_"."eventOffset" as "eventOffset"
    from "public"."iot_device_events" "_"
    where "_"."status" = 'ERROR' or "_"."temperature" is null
) "$Outer"
left outer join "public"."device_temperature" "$Inner" on ("$Outer"."deviceId" = "$Inner"."deviceId" and "$Inner"."window_start" = timestamp '2026-01-05 11:16:00')
order by "$Outer"."eventOffset",
        "$Outer"."deviceId"
limit 501