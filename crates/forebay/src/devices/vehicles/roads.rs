//! Where vehicles drive: towns by the Gulf around Dhahran and the roads between them, and a way over some of them.
//!
//! ```text
//!  Jubail ── Ras Tanura        A road is a line with bends. It has its limit outside of towns
//!     │    ╲     │             and that of a town within two kilometres of both its ends.
//!  Qatif ── Dammam ── Khobar
//!             │    ╳    │
//!          Dhahran ─────┘
//!             │
//!          Abqaiq ── Hofuf
//! ```

/// A place: degrees north and east.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub latitude: f64,
    pub longitude: f64,
}

/// Kilometres of a degree of latitude.
pub const KM_OF_DEGREE: f64 = 111.2;

const fn at(latitude: f64, longitude: f64) -> Place {
    Place { latitude, longitude }
}

const TOWNS: [Place; 8] = [
    at(26.4207, 50.0888), // Dammam
    at(26.2172, 50.1971), // Khobar
    at(26.2886, 50.1140), // Dhahran
    at(26.5560, 49.9960), // Qatif
    at(27.0046, 49.6460), // Jubail
    at(26.7740, 50.0600), // Ras Tanura
    at(25.9350, 49.6660), // Abqaiq
    at(25.3790, 49.5880), // Hofuf
];

/// From one town to another, with what lies between, and its limit in km/h.
struct Road {
    ends: (usize, usize),
    limit: f64,
    bends: &'static [Place],
}

const ROADS: [Road; 11] = [
    Road { ends: (0, 1), limit: 100.0, bends: &[at(26.345, 50.170)] },
    Road { ends: (0, 2), limit: 110.0, bends: &[at(26.360, 50.085)] },
    Road { ends: (1, 2), limit: 80.0, bends: &[at(26.262, 50.160)] },
    Road { ends: (0, 3), limit: 100.0, bends: &[at(26.490, 50.020)] },
    Road { ends: (3, 4), limit: 120.0, bends: &[at(26.690, 49.905), at(26.850, 49.790)] },
    Road { ends: (3, 5), limit: 100.0, bends: &[at(26.660, 50.000)] },
    Road { ends: (4, 5), limit: 120.0, bends: &[at(26.930, 49.830)] },
    Road { ends: (0, 4), limit: 120.0, bends: &[at(26.520, 49.900), at(26.760, 49.780)] },
    Road { ends: (2, 6), limit: 120.0, bends: &[at(26.150, 49.920)] },
    Road { ends: (0, 6), limit: 120.0, bends: &[at(26.250, 49.850)] },
    Road { ends: (6, 7), limit: 120.0, bends: &[at(25.650, 49.600)] },
];

/// The limit in towns, and how far from a road's end they reach.
const IN_TOWN: f64 = 60.0;
const TOWN_KM: f64 = 2.0;

/// A straight piece of a way.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    from: Place,
    to: Place,
    pub km: f64,
    /// What one may drive, km/h.
    pub limit: f64,
}

impl Leg {
    fn new(from: Place, to: Place, limit: f64) -> Self {
        Self { from, to, km: distance(from, to), limit }
    }

    /// The place so far along.
    pub fn place(&self, km: f64) -> Place {
        between(self.from, self.to, if self.km > 0.0 { (km / self.km).clamp(0.0, 1.0) } else { 1.0 })
    }
}

/// Kilometres from here to there, as on a map: good to a per cent over the distance of some towns.
pub fn distance(a: Place, b: Place) -> f64 {
    let squeeze = ((a.latitude + b.latitude) / 2.0).to_radians().cos();
    let (north, east) = (b.latitude - a.latitude, (b.longitude - a.longitude) * squeeze);
    KM_OF_DEGREE * north.hypot(east)
}

fn between(a: Place, b: Place, part: f64) -> Place {
    let way = |from: f64, to: f64| from + (to - from) * part;
    at(way(a.latitude, b.latitude), way(a.longitude, b.longitude))
}

/// Any town.
pub fn town(random: &mut fastrand::Rng) -> usize {
    random.usize(..TOWNS.len())
}

pub fn place_of(town: usize) -> Place {
    TOWNS[town % TOWNS.len()]
}

/// A way from a town over one to three roads, no road twice, and the town where it ends. The legs are in reverse: the next one is the last.
pub fn way(from: usize, random: &mut fastrand::Rng) -> (Vec<Leg>, usize) {
    let (mut legs, mut here, mut driven) = (Vec::new(), from, Vec::new());
    for _ in 0..random.u32(1..=3) {
        let leads_on = |(index, road): &(usize, &Road)| {
            (road.ends.0 == here || road.ends.1 == here) && !driven.contains(index)
        };
        let roads: Vec<(usize, &Road)> = ROADS.iter().enumerate().filter(leads_on).collect();
        let Some((index, road)) = random.choice(roads) else { break };
        driven.push(index);
        let there = if road.ends.0 == here { road.ends.1 } else { road.ends.0 };
        let mut bends = road.bends.to_vec();
        if road.ends.0 != here {
            bends.reverse();
        }
        let points: Vec<Place> = [&[TOWNS[here]], &bends[..], &[TOWNS[there]]].concat();
        legs.extend(road_legs(&points, road.limit));
        here = there;
    }
    legs.reverse();
    (legs, here)
}

/// The legs of a road: those at both ends begin or end in a town.
fn road_legs(points: &[Place], limit: f64) -> Vec<Leg> {
    let mut legs: Vec<Leg> = points.windows(2).map(|ends| Leg::new(ends[0], ends[1], limit)).collect();
    if let Some(first) = legs.first().copied().filter(|leg| leg.km > 2.0 * TOWN_KM) {
        let edge = first.place(TOWN_KM);
        legs[0] = Leg::new(edge, first.to, limit);
        legs.insert(0, Leg::new(first.from, edge, IN_TOWN));
    }
    if let Some(last) = legs.pop() {
        if last.km > 2.0 * TOWN_KM {
            let edge = last.place(last.km - TOWN_KM);
            legs.extend([Leg::new(last.from, edge, limit), Leg::new(edge, last.to, IN_TOWN)]);
        } else {
            legs.push(last);
        }
    }
    legs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_whole_and_ends_in_a_town() {
        let mut random = fastrand::Rng::with_seed(7);
        for (from, town) in TOWNS.iter().enumerate() {
            for _ in 0..50 {
                let (legs, end) = way(from, &mut random);
                assert_eq!(legs.last().unwrap().from, *town);
                assert_eq!(legs[0].to, TOWNS[end]);
                assert!(legs.windows(2).all(|two| two[0].from == two[1].to), "no gap");
                let km: f64 = legs.iter().map(|leg| leg.km).sum();
                assert!((8.0..260.0).contains(&km), "{km} km");
                assert!(legs.iter().any(|leg| leg.limit == IN_TOWN));
            }
        }
    }
}
