select count(1) as "$Item"
from "public"."iot_device_events" "$Table"
limit 4096