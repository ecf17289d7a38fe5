// Three sensors on an ESP32, by MQTT over TLS to Forebay's own end point: the topics of examples/arduino.yaml.
//
//   home/dht11   {"temperature": 21.5, "humidity": 40}   every two seconds, QoS 1
//   home/sr04    {"distance": 37.2}                      50 times a second, QoS 0: the next one comes at once
//   home/pir     1                                       when somebody begins to move, QoS 1
//   home/status  online, or offline as the board's will  QoS 1
//
// Libraries: "DHT sensor library" by Adafruit (1.4), "MQTT" by Joel Gaehwiler (2.5), esp32 boards by Espressif (3.x).
// Wiring, and how Forebay gets its certificate and the board its token: README.md beside this folder.
#include <DHT.h>
#include <MQTT.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>

const char WIFI_NAME[] = "your network";
const char WIFI_PASSWORD[] = "its password";
// As the certificate of the gateway names the machine.
const char FOREBAY_HOST[] = "forebay.lan";
const int FOREBAY_PORT = 8883;
// The name under `users:` and the token that `forebay token device` printed.
const char USER[] = "board";
const char TOKEN[] = "the token";
// The authority that signed the gateway's certificate: the content of ca.pem.
const char AUTHORITY[] = R"(-----BEGIN CERTIFICATE-----
...
-----END CERTIFICATE-----
)";

const uint8_t DHT_PIN = 4;
const uint8_t TRIGGER_PIN = 5;
const uint8_t ECHO_PIN = 18;
const uint8_t PIR_PIN = 19;

const unsigned long DISTANCE_EVERY_MS = 20;
const unsigned long CLIMATE_EVERY_MS = 2000;
const unsigned long ALIVE_EVERY_MS = 30000;
const unsigned long LONGEST_ECHO_US = 15000;
const float CM_PER_US = 0.01715;
const int AT_MOST_ONCE = 0;
const int AT_LEAST_ONCE = 1;

DHT dht(DHT_PIN, DHT11);
WiFiClientSecure network;
MQTTClient forebay(256);
unsigned long lastDistance = 0;
unsigned long lastClimate = 0;
unsigned long lastAlive = 0;
bool wasMoving = false;

void setup() {
  Serial.begin(115200);
  pinMode(TRIGGER_PIN, OUTPUT);
  pinMode(ECHO_PIN, INPUT);
  pinMode(PIR_PIN, INPUT);
  dht.begin();
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  // A certificate is valid for a time, so the board must know what time it is.
  configTime(0, 0, "pool.ntp.org");
  network.setCACert(AUTHORITY);
  forebay.begin(FOREBAY_HOST, FOREBAY_PORT, network);
  forebay.setWill("home/status", "offline", false, AT_LEAST_ONCE);
}

void loop() {
  forebay.loop();
  if (!forebay.connected() && !connect()) {
    delay(1000);
    return;
  }
  const unsigned long now = millis();
  if (now - lastAlive >= ALIVE_EVERY_MS) {
    lastAlive = now;
    tell("home/status", "online", AT_LEAST_ONCE);
  }
  if (now - lastDistance >= DISTANCE_EVERY_MS) {
    lastDistance = now;
    tellDistance();
  }
  if (now - lastClimate >= CLIMATE_EVERY_MS) {
    lastClimate = now;
    tellClimate();
  }
  tellMovement();
}

bool connect() {
  if (WiFi.status() != WL_CONNECTED) return false;
  if (!forebay.connect("board", USER, TOKEN)) {
    Serial.printf("no connection: error %d, return code %d\n", forebay.lastError(), forebay.returnCode());
    return false;
  }
  lastAlive = millis();
  tell("home/status", "online", AT_LEAST_ONCE);
  return true;
}

// With QoS 1 it returns once Forebay's log has the message, or gives it up when the connection ends.
void tell(const char topic[], const char payload[], int qos) {
  forebay.publish(topic, payload, false, qos);
}

void tellDistance() {
  digitalWrite(TRIGGER_PIN, LOW);
  delayMicroseconds(2);
  digitalWrite(TRIGGER_PIN, HIGH);
  delayMicroseconds(10);
  digitalWrite(TRIGGER_PIN, LOW);
  const unsigned long echo = pulseIn(ECHO_PIN, HIGH, LONGEST_ECHO_US);
  if (echo == 0) return;
  char json[40];
  snprintf(json, sizeof json, "{\"distance\": %.1f}", echo * CM_PER_US);
  tell("home/sr04", json, AT_MOST_ONCE);
}

void tellClimate() {
  const float temperature = dht.readTemperature();
  const float humidity = dht.readHumidity();
  if (isnan(temperature) || isnan(humidity)) return;
  char json[64];
  snprintf(json, sizeof json, "{\"temperature\": %.1f, \"humidity\": %.0f}", temperature, humidity);
  tell("home/dht11", json, AT_LEAST_ONCE);
}

void tellMovement() {
  const bool isMoving = digitalRead(PIR_PIN) == HIGH;
  if (isMoving && !wasMoving) tell("home/pir", "1", AT_LEAST_ONCE);
  wasMoving = isMoving;
}
