// Three sensors on a USB port: a line for each measurement, for Forebay's serial gateway with `lines: keyValue`.
//
//   dht11 temperature=21.5,humidity=40     every two seconds
//   sr04 distance=37.2                     50 times a second, in centimetres; no line where nothing echoes
//   pir movement=1                         when somebody begins to move
//
// Library: "DHT sensor library" by Adafruit (1.4). Wiring and the rest: README.md beside this folder.
#include <DHT.h>

const uint8_t DHT_PIN = 2;
const uint8_t TRIGGER_PIN = 9;
const uint8_t ECHO_PIN = 10;
const uint8_t PIR_PIN = 7;

const unsigned long DISTANCE_EVERY_MS = 20;
const unsigned long CLIMATE_EVERY_MS = 2000;
// An echo from 2.5 m takes 15 ms. To wait for longer ones would miss the next measurement.
const unsigned long LONGEST_ECHO_US = 15000;
// Sound goes there and back, at 343 m/s.
const float CM_PER_US = 0.01715;

DHT dht(DHT_PIN, DHT11);
unsigned long lastDistance = 0;
unsigned long lastClimate = 0;
bool wasMoving = false;

void setup() {
  Serial.begin(115200);
  pinMode(TRIGGER_PIN, OUTPUT);
  pinMode(ECHO_PIN, INPUT);
  pinMode(PIR_PIN, INPUT);
  dht.begin();
}

void loop() {
  const unsigned long now = millis();
  // Differences of times stay right when millis() begins again at 0, after 49 days.
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

void tellDistance() {
  digitalWrite(TRIGGER_PIN, LOW);
  delayMicroseconds(2);
  digitalWrite(TRIGGER_PIN, HIGH);
  delayMicroseconds(10);
  digitalWrite(TRIGGER_PIN, LOW);
  const unsigned long echo = pulseIn(ECHO_PIN, HIGH, LONGEST_ECHO_US);
  if (echo == 0) return;
  Serial.print(F("sr04 distance="));
  Serial.println(echo * CM_PER_US, 1);
}

void tellClimate() {
  const float temperature = dht.readTemperature();
  const float humidity = dht.readHumidity();
  // A DHT11 that did not answer reads as NaN: nothing was measured, so nothing is told.
  if (isnan(temperature) || isnan(humidity)) return;
  Serial.print(F("dht11 temperature="));
  Serial.print(temperature, 1);
  Serial.print(F(",humidity="));
  Serial.println(humidity, 0);
}

void tellMovement() {
  const bool isMoving = digitalRead(PIR_PIN) == HIGH;
  if (isMoving && !wasMoving) Serial.println(F("pir movement=1"));
  wasMoving = isMoving;
}
