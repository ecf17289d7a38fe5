//! One vehicle under way: what it does from one report to the next.
//!
//! ```text
//!  km/h
//!  120 ┤        ╭~~~~^~~~~~~~╮            the limit, times how this driver takes it; ^ overtakes
//!   60 ┤  ╭~~~~~╯            ╰~~~╮        in towns
//!    0 ┤──╯                      ╰────    parked for a minute, then the next trip
//!        start of a trip      its end
//! ```
//!
//! What must stay true: without a fault a vehicle comes close to what the rules of the example forbid and never reaches it:
//! 138 km/h, 108 °C, 12 % of fuel. So a rule that is a little too sharp is found out. How long a vehicle was not looked at
//! makes no difference to that.

use super::faults::Effect;
use super::report::{Report, Trip};
use super::roads::{self, KM_OF_DEGREE, Leg, Place};

/// How drivers take a limit.
const DRIVERS: (f64, f64) = (0.90, 1.04);
/// km/h in a second: how speed grows, how brakes take it away.
const GROWS: f64 = 7.0;
const BRAKES: f64 = 12.0;
/// Once in two minutes somebody is overtaken, for some seconds and with this much more speed.
const OVERTAKES: f64 = 1.0 / 120.0;
const OVERTAKING: (f64, f64, f64) = (5.0, 10.0, 9.0);
/// A hill: how often in a second, for how long, how much warmer an engine wants to be.
const HILLS: f64 = 1.0 / 240.0;
const HILL: (f64, f64, f64) = (20.0, 60.0, 9.0);
/// Where a warm engine idles, what full load adds, and the seconds in which it goes most of the way to that.
const WARM: f64 = 86.0;
const LOAD: f64 = 11.0;
const WARMS: f64 = 20.0;
/// Per cent of the tank for a kilometre, and for a second with an idle engine.
const PER_KM: f64 = 0.16;
const PER_SECOND: f64 = 0.000_4;
/// Below this a vehicle stops and fills up; thieves leave less.
const FILLS_UP_AT: f64 = 13.0;
/// Seconds for which it is parked.
const PARKED: (f64, f64) = (30.0, 90.0);
/// How far what is measured strays: km/h and degrees.
const STRAYS: (f64, f64, f64) = (1.5, 0.7, 0.000_05);
/// One position in so many is off by up to a kilometre: houses throw signals back.
const ECHO: f64 = 1.0 / 200.0;
const ECHO_DEGREES: f64 = 0.008;
/// Speed up to which each gear is driven, and its revolutions a minute for a km/h.
const GEARS: [(f64, f64); 5] =
    [(25.0, 110.0), (45.0, 65.0), (70.0, 45.0), (100.0, 33.0), (f64::INFINITY, 26.0)];
const IDLE: f64 = 800.0;

/// A vehicle.
pub struct Vehicle {
    car: usize,
    /// When it was looked at last, seconds of the fleet's time.
    pub at: f64,
    driver: f64,
    trip: Trip,
    /// What is left of its way, the next leg last, how far it is on that, and the town where it ends.
    legs: Vec<Leg>,
    km: f64,
    ends_in: usize,
    parked_until: f64,
    overtakes_until: f64,
    climbs_until: f64,
    pub speed: f64,
    pub temperature: f64,
    pub fuel: f64,
}

impl Vehicle {
    /// Before its first trip, at the beginning of the fleet's time.
    pub fn new(car: usize, random: &mut fastrand::Rng) -> Self {
        let from = roads::town(random);
        let (legs, ends_in) = roads::way(from, random);
        let fuel = between((18.0, 100.0), random);
        Self {
            car,
            at: 0.0,
            driver: between(DRIVERS, random),
            trip: Trip { id: random.u128(..), since: 0, from: roads::place_of(from) },
            legs,
            km: 0.0,
            ends_in,
            parked_until: between((0.0, 10.0), random),
            overtakes_until: 0.0,
            climbs_until: 0.0,
            speed: 0.0,
            temperature: between((70.0, 90.0), random),
            fuel,
        }
    }

    /// The fleet begins, at this second since 1970, and with it the first trip.
    pub fn begin(&mut self, since: i64) {
        self.trip.since = since;
    }

    /// Is on the road.
    pub fn is_under_way(&self) -> bool {
        self.at >= self.parked_until && self.speed > 30.0
    }

    /// Goes on until `now`, seconds of the fleet's time, which began `since`.
    pub fn go_on(&mut self, now: f64, since: i64, effect: Effect, random: &mut fastrand::Rng) {
        let seconds = (now - self.at).max(0.0);
        self.at = now;
        let happens = |often: f64, random: &mut fastrand::Rng| random.f64() < 1.0 - (-often * seconds).exp();
        if happens(OVERTAKES, random) {
            self.overtakes_until = now + between((OVERTAKING.0, OVERTAKING.1), random);
        }
        if happens(HILLS, random) {
            self.climbs_until = now + between((HILL.0, HILL.1), random);
        }
        self.drive(now, seconds, effect);
        self.warm_up(now, seconds, effect);
        self.burn(seconds, effect);
        if self.is_at_its_end() && !effect.holds() {
            self.next_trip(now, since, random);
        }
        if self.fuel < FILLS_UP_AT && !effect.holds() {
            self.fuel = between((88.0, 98.0), random);
            self.parked_until = now + between(PARKED, random);
        }
    }

    fn drive(&mut self, now: f64, seconds: f64, effect: Effect) {
        let limit = self.legs.last().map_or(0.0, |leg| leg.limit);
        let overtakes = if now < self.overtakes_until { OVERTAKING.2 } else { 0.0 };
        let (aim, grows) = match effect {
            Effect::Speeds(speed) => (speed, 2.0 * GROWS),
            Effect::Stolen(_) => (0.0, GROWS),
            _ if now < self.parked_until => (0.0, GROWS),
            _ => (limit * self.driver + overtakes, GROWS),
        };
        let before = self.speed;
        self.speed += (aim - self.speed).clamp(-BRAKES * seconds, grows * seconds);
        self.km += f64::midpoint(before, self.speed) / 3_600.0 * seconds;
        while self.legs.len() > 1 && self.legs.last().is_some_and(|leg| self.km >= leg.km) {
            self.km -= self.legs.pop().map_or(0.0, |leg| leg.km);
        }
    }

    fn warm_up(&mut self, now: f64, seconds: f64, effect: Effect) {
        let hill = if now < self.climbs_until { HILL.2 } else { 0.0 };
        let aim = match effect {
            Effect::Heats(degrees) => degrees,
            _ => WARM + LOAD * (self.speed / 130.0).min(1.0) + hill,
        };
        let left = (-seconds / WARMS).exp();
        self.temperature = aim + (self.temperature - aim) * left;
    }

    fn burn(&mut self, seconds: f64, effect: Effect) {
        let burnt = self.speed / 3_600.0 * seconds * PER_KM + seconds * PER_SECOND;
        self.fuel = match effect {
            Effect::Stolen(left) => left,
            _ => (self.fuel - burnt).max(0.0),
        };
    }

    fn is_at_its_end(&self) -> bool {
        self.legs.len() <= 1 && self.legs.last().is_none_or(|leg| self.km >= leg.km)
    }

    fn next_trip(&mut self, now: f64, since: i64, random: &mut fastrand::Rng) {
        let from = self.ends_in;
        (self.legs, self.ends_in) = roads::way(from, random);
        self.km = 0.0;
        self.speed = 0.0;
        self.parked_until = now + between(PARKED, random);
        self.trip =
            Trip { id: random.u128(..), since: super::seconds(since, now), from: roads::place_of(from) };
    }

    /// Its tank is full again.
    pub fn fill_up(&mut self, random: &mut fastrand::Rng) {
        self.fuel = between((60.0, 95.0), random);
    }

    /// What it tells now.
    pub fn report(&self, at: i64, effect: Effect, random: &mut fastrand::Rng) -> Report {
        let here = self.legs.last().map_or(self.trip.from, |leg| leg.place(self.km));
        let mut off = |most: f64| (2.0 * random.f64() - 1.0) * most;
        let (speed, temperature) = (off(STRAYS.0), off(STRAYS.1));
        let (mut north, mut east) = (off(STRAYS.2), off(STRAYS.2));
        if random.f64() < ECHO {
            (north, east) = (ECHO_DEGREES * random.f64(), -ECHO_DEGREES * random.f64());
        }
        let true_place = Place { latitude: here.latitude + north, longitude: here.longitude + east };
        let place = match effect {
            Effect::Lost(place) => place,
            Effect::Thrown(km) => Place { latitude: true_place.latitude - km / KM_OF_DEGREE, ..true_place },
            _ => true_place,
        };
        let moves = self.speed > 1.0;
        let speed = if moves { (self.speed + speed).max(0.0) } else { 0.0 };
        let gear = GEARS.iter().find(|(to, _)| speed < *to).map_or(26.0, |(_, of)| *of);
        Report {
            car: self.car,
            trip: self.trip.clone(),
            place,
            at,
            speed,
            fuel: self.fuel,
            temperature: self.temperature + temperature,
            rpm: (speed * gear).max(IDLE) + 10.0 * (random.f64() - 0.5),
        }
    }
}

pub fn between((least, most): (f64, f64), random: &mut fastrand::Rng) -> f64 {
    least + (most - least) * random.f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_fault_a_vehicle_comes_close_to_what_is_forbidden_and_never_reaches_it() {
        let (mut fastest, mut hottest, mut emptiest, mut trips) = (0.0_f64, 0.0_f64, 100.0_f64, 0);
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            // Looked at every second, or now and then.
            let step = [0.5, 1.0, 4.0, 30.0][seed as usize % 4];
            let mut vehicle = Vehicle::new(0, &mut random);
            let (mut now, mut trip) = (0.0, vehicle.trip.id);
            while now < 14_400.0 {
                now += step;
                vehicle.go_on(now, 0, Effect::None, &mut random);
                let report = vehicle.report(super::super::seconds(0, now), Effect::None, &mut random);
                fastest = fastest.max(report.speed);
                hottest = hottest.max(report.temperature);
                emptiest = emptiest.min(report.fuel);
                trips += u32::from(report.trip.id != trip);
                trip = report.trip.id;
                let hours = (report.at - report.trip.since) as f64 / 3_600.0;
                let away = roads::distance(report.trip.from, report.place);
                assert!(away <= 5.0 + 140.0 * hours, "seed {seed}: {away} km after {hours} h");
                assert!((700.0..=4_500.0).contains(&report.rpm), "{} rpm", report.rpm);
            }
        }
        assert!((130.0..138.0).contains(&fastest), "{fastest} km/h");
        assert!((102.0..108.0).contains(&hottest), "{hottest} °C");
        assert!((11.9..14.0).contains(&emptiest), "{emptiest} %");
        assert!(trips > 80, "{trips} trips");
    }
}
