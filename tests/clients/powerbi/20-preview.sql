select "$Table"."eventId" as "eventId",
    "$Table"."customerId" as "customerId",
    "$Table"."eventOffset" as "eventOffset",
    "$Table"."eventPublisher" as "eventPublisher",
    "$Table"."eventTime" as "eventTime",
    "$Table"."deviceId" as "deviceId",
    "$Table"."measure" as "measure",
    "$Table"."status" as "status",
    "$Table"."temperature" as "temperature",
    "$Table"."pressure" as "pressure",
    "$Table"."humidity" as "humidity"
from "public"."iot_device_events" "$Table"
limit 1000