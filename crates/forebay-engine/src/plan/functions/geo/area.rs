//! Areas: polygons with holes, read from their text once and asked for many points.
//!
//! The plane is that of longitude and latitude in degrees, edges are straight in it, as for PostGIS's and Sedona's `geometry`. What
//! must stay true: a point of an edge is on the border of its polygon, of a hole's edge too, and of two polygons of which one has the point
//! inside it is inside.
//!
//! ```text
//! WKT ─▶ rings ─▶ edges that lead upwards, in strips of latitude ─▶ a ray to the east crosses edges of one strip alone
//! ```

use std::str::FromStr;

/// Most strips of a polygon: more cost memory and gain nothing.
const MOST_STRIPS: usize = 4_096;

/// In so many strips an edge stands on average at most.
const MOST_COPIES: f64 = 8.0;

/// Most corners of an area: beyond that it is a map and no fence.
const MOST_CORNERS: usize = 100_000;

/// Where a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Outside,
    Border,
    Inside,
}

/// A polygon or several.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Area {
    polygons: Vec<Polygon>,
}

#[derive(Debug, PartialEq)]
struct Polygon {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
    /// Strips for each degree.
    density: f64,
    strips: Vec<Vec<Edge>>,
}

/// From its southern end to its northern one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    from: (f64, f64),
    to: (f64, f64),
}

type Ring = Vec<(f64, f64)>;

impl Area {
    /// Where a point is. A polygon that reaches beyond 180° goes on at the other side of the date line.
    pub fn place(&self, x: f64, y: f64) -> Place {
        let of = |polygon: &Polygon| {
            let mut place = polygon.place(x, y);
            if polygon.east >= 180.0 {
                place = place.max(polygon.place(x + 360.0, y));
            }
            if polygon.west <= -180.0 {
                place = place.max(polygon.place(x - 360.0, y));
            }
            place
        };
        self.polygons.iter().map(of).max().unwrap_or(Place::Outside)
    }
}

impl Polygon {
    fn new(rings: &[Ring]) -> Self {
        let corners = || rings.iter().flatten();
        let least = |of: fn(&(f64, f64)) -> f64| corners().map(of).fold(f64::INFINITY, f64::min);
        let most = |of: fn(&(f64, f64)) -> f64| corners().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (west, east) = (least(|corner| corner.0), most(|corner| corner.0));
        let (south, north) = (least(|corner| corner.1), most(|corner| corner.1));
        let edges = || {
            let sides = rings.iter().flat_map(|ring| ring.iter().zip(ring.iter().skip(1)));
            sides.map(|(one, next)| if one.1 <= next.1 { (*one, *next) } else { (*next, *one) })
        };
        // Edges that run through many strips stand in each of them: as many strips as leave the area some times as large as it was.
        let corners = corners().count();
        let height: f64 = edges().map(|(from, to)| to.1 - from.1).sum();
        let crossed = |count: usize| count as f64 * height / (north - south).max(f64::MIN_POSITIVE);
        let mut count = corners.clamp(1, MOST_STRIPS);
        while count > 1 && crossed(count) > MOST_COPIES * corners as f64 {
            count /= 2;
        }
        let density = if north > south { count as f64 / (north - south) } else { 0.0 };
        let mut polygon = Self { west, east, south, north, density, strips: vec![Vec::new(); count] };
        for (from, to) in edges() {
            let (first, last) = (polygon.strip(from.1), polygon.strip(to.1));
            let touched = polygon.strips.iter_mut().take(last + 1).skip(first);
            touched.for_each(|strip| strip.push(Edge { from, to }));
        }
        polygon
    }

    /// The strip of a latitude within the polygon's.
    fn strip(&self, y: f64) -> usize {
        (((y - self.south) * self.density) as usize).min(self.strips.len() - 1)
    }

    fn place(&self, x: f64, y: f64) -> Place {
        if !(self.west <= x && x <= self.east && self.south <= y && y <= self.north) {
            return Place::Outside;
        }
        let mut is_inside = false;
        for Edge { from, to } in self.strips.get(self.strip(y)).into_iter().flatten() {
            if y < from.1 || y > to.1 {
                continue;
            }
            // Positive where the point lies west of the edge.
            let side = (to.0 - from.0) * (y - from.1) - (x - from.0) * (to.1 - from.1);
            let is_level = from.1 == to.1;
            if side == 0.0 && (!is_level || (x >= from.0.min(to.0) && x <= from.0.max(to.0))) {
                return Place::Border;
            }
            // A corner belongs to the edge above it.
            is_inside ^= side > 0.0 && y < to.1;
        }
        if is_inside { Place::Inside } else { Place::Outside }
    }
}

impl FromStr for Area {
    type Err = String;

    /// Reads `POLYGON ((x y, …), (hole), …)` or `MULTIPOLYGON (((…)), …)`, where `SRID=4326;` may stand before it.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.trim(), corners: 0 };
        if let Some(srid) = reader.rest.get(..5).filter(|begin| begin.eq_ignore_ascii_case("srid=")) {
            let (number, rest) = reader.rest[srid.len()..].split_once(';').unwrap_or(("", ""));
            if number.trim() != "4326" {
                return Err("only SRID 4326 is known: longitude and latitude in degrees".to_owned());
            }
            reader.rest = rest;
        }
        let word = reader.word();
        let polygons = match word.to_ascii_uppercase().as_str() {
            "POLYGON" => reader.shape(|reader| Ok(vec![reader.polygon()?]))?,
            "MULTIPOLYGON" => reader.shape(|reader| reader.list(Reader::polygon))?,
            _ => return Err(format!("expected POLYGON or MULTIPOLYGON, found `{}`", shown(text))),
        };
        if !reader.rest.trim().is_empty() {
            return Err(format!("there is more behind its end: `{}`", shown(reader.rest)));
        }
        Ok(Self { polygons: polygons.iter().map(|rings| Polygon::new(rings)).collect() })
    }
}

struct Reader<'a> {
    rest: &'a str,
    corners: usize,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let (word, rest) = text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()));
        self.rest = rest;
        word
    }

    /// `EMPTY`, or what `read` reads.
    fn shape(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Vec<Vec<Ring>>, String>,
    ) -> Result<Vec<Vec<Ring>>, String> {
        let before = self.rest;
        match self.word() {
            "" => read(self),
            word if word.eq_ignore_ascii_case("empty") => Ok(Vec::new()),
            _ => Err(format!("expected corners of two numbers, `x y`, found `{}`", shown(before))),
        }
    }

    fn polygon(&mut self) -> Result<Vec<Ring>, String> {
        self.list(Self::ring)
    }

    fn ring(&mut self) -> Result<Ring, String> {
        let ring = self.list(Self::corner)?;
        if ring.len() < 4 || ring.first() != ring.last() {
            return Err("a ring has four corners at least, the last of which is the first again".to_owned());
        }
        Ok(ring)
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.sign("(")?;
        let mut all = vec![read(self)?];
        while self.is_sign(",") {
            all.push(read(self)?);
        }
        self.sign(")")?;
        Ok(all)
    }

    fn corner(&mut self) -> Result<(f64, f64), String> {
        self.corners += 1;
        if self.corners > MOST_CORNERS {
            return Err(format!("it has more than {MOST_CORNERS} corners"));
        }
        let (x, y) = (self.number()?, self.number()?);
        if x.abs() > 360.0 || y.abs() > 90.0 {
            return Err(format!("`{x} {y}` is no longitude and latitude, in this order and in degrees"));
        }
        Ok((x, y))
    }

    fn number(&mut self) -> Result<f64, String> {
        let text = self.rest.trim_start();
        let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let (number, rest) = text.split_at(text.find(|c: char| !is_of_number(c)).unwrap_or(text.len()));
        let parsed = number.parse::<f64>().ok().filter(|number| number.is_finite());
        self.rest = rest;
        parsed.ok_or_else(|| format!("expected a number, found `{}`", shown(text)))
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        match self.is_sign(sign) {
            true => Ok(()),
            false => Err(format!("expected `{sign}`, found `{}`", shown(self.rest))),
        }
    }

    fn is_sign(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// The beginning of a text.
fn shown(text: &str) -> &str {
    let text = text.trim();
    &text[..text.floor_char_boundary(40)]
}

#[cfg(test)]
mod tests {
    use super::Place::{Border, Inside, Outside};
    use super::*;

    fn places(area: &str, points: &[(f64, f64)]) -> Vec<Place> {
        let area: Area = area.parse().unwrap();
        points.iter().map(|(x, y)| area.place(*x, *y)).collect()
    }

    #[test]
    fn corners_and_edges_are_the_border_of_an_area_and_of_its_hole() {
        let yard = "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))";
        let points = [
            (1.0, 1.0),
            (5.0, 5.0),
            (0.0, 0.0),
            (10.0, 3.0),
            (3.0, 10.0),
            (4.0, 5.0),
            (6.0, 6.0),
            (-1.0, 0.0),
        ];
        assert_eq!(places(yard, &points), [Inside, Outside, Border, Border, Border, Border, Border, Outside]);
        // A ray through corners: beside, between and behind them.
        let points =
            [(-1.0, 4.0), (2.0, 4.0), (7.0, 4.0), (11.0, 4.0), (2.0, 6.0), (11.0, 10.0), (-1.0, 10.0)];
        assert_eq!(places(yard, &points), [Outside, Inside, Inside, Outside, Inside, Outside, Outside]);
    }

    #[test]
    fn a_star_of_many_corners_is_what_its_definition_says() {
        // r(φ) = 5 + 3 sin 7φ: a point is inside if it is nearer than the border in its direction.
        let corner = |n: i32| {
            let angle = f64::from(n % 2_000) / 2_000.0 * std::f64::consts::TAU;
            let radius = 5.0 + 3.0 * (7.0 * angle).sin();
            format!("{} {}", radius * angle.cos(), radius * angle.sin())
        };
        let corners: Vec<String> = (0..=2_000).map(corner).collect();
        let star: Area = format!("polygon (({}))", corners.join(", ")).parse().unwrap();
        let mut asked = [0, 0];
        for step in 0..40_000 {
            let (x, y) = (f64::from(step % 200) / 11.0 - 9.0, f64::from(step / 200) / 11.0 - 9.0);
            let (radius, angle) = (x.hypot(y), y.atan2(x));
            let away = radius - (5.0 + 3.0 * (7.0 * angle).sin());
            if away.abs() > 0.01 {
                assert_eq!(star.place(x, y), if away < 0.0 { Inside } else { Outside }, "{x} {y}");
                asked[usize::from(away < 0.0)] += 1;
            }
        }
        assert!(asked.iter().all(|count| *count > 5_000), "{asked:?}");
    }

    #[test]
    fn edges_from_pole_to_pole_take_no_more_room_than_their_area_is_worth() {
        let needles = "0 0, 1 90, ".repeat(2_500);
        let area: Area = format!("POLYGON(({needles}0 0))").parse().unwrap();
        let copies: usize = area.polygons.iter().flat_map(|it| &it.strips).map(Vec::len).sum();
        assert!(copies <= 10 * 5_000, "{copies}");
    }

    #[test]
    fn several_polygons_are_one_area_and_none_is_nowhere() {
        let two = "SRID=4326;MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 6, 5 5)))";
        assert_eq!(places(two, &[(0.9, 0.1), (5.5, 5.5), (3.0, 3.0)]), [Inside, Inside, Outside]);
        assert_eq!(places("POLYGON EMPTY", &[(0.0, 0.0)]), [Outside]);
        let flat = "POLYGON((0 5, 9 5, 3 5, 0 5))";
        assert_eq!(places(flat, &[(4.0, 5.0), (10.0, 5.0), (4.0, 4.0)]), [Border, Outside, Outside]);
    }

    #[test]
    fn an_area_over_the_date_line_is_written_beyond_180_degrees() {
        let fiji = "POLYGON((177 -19, 182 -19, 182 -16, 177 -16, 177 -19))";
        let points =
            [(178.0, -18.0), (180.0, -18.0), (-180.0, -18.0), (-179.0, -18.0), (-178.0, -18.0), (0.0, -18.0)];
        assert_eq!(places(fiji, &points), [Inside, Inside, Inside, Inside, Border, Outside]);
        let west = "POLYGON((-190 0, -170 0, -170 5, -190 5, -190 0))";
        assert_eq!(places(west, &[(175.0, 1.0), (-175.0, 1.0), (165.0, 1.0)]), [Inside, Inside, Outside]);
        let ends_there = "POLYGON((170 0, 180 0, 180 5, 170 5, 170 0))";
        assert_eq!(
            places(ends_there, &[(180.0, 2.0), (-180.0, 2.0), (-179.0, 2.0)]),
            [Border, Border, Outside]
        );
        let cap = "POLYGON((-180 66, 180 66, 180 90, -180 90, -180 66))";
        assert_eq!(places(cap, &[(13.0, 89.9), (13.0, 90.0), (13.0, 65.9)]), [Inside, Border, Outside]);
    }

    #[test]
    fn what_is_no_area_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "expected POLYGON or MULTIPOLYGON"),
            ("POINT(1 2)", "found `POINT(1 2)`"),
            ("POLYGON((0 0, 1 0, 1 1))", "the last of which is the first again"),
            ("POLYGON((0 0, 1 0, 0 0))", "four corners"),
            ("POLYGON((0 0, 1 0, 1 x, 0 0))", "expected a number, found `x, 0 0))`"),
            ("POLYGON((0 0, 1 0, 1 1, 0 0)", "expected `)`"),
            ("POLYGON((0 0, 1 0, 1 1, 0 0)) x", "more behind its end: `x`"),
            ("POLYGON((0 0 1, 1 0 1, 1 1 1, 0 0 1))", "expected `)`, found `1, 1 0 1"),
            ("POLYGON Z((0 0 1, 1 0 1, 1 1 1, 0 0 1))", "corners of two numbers"),
            ("POLYGON((0 0, 0 91, 1 91, 0 0))", "no longitude and latitude"),
            ("POLYGON((0 0, 1e999 0, 1 1, 0 0))", "expected a number"),
            ("SRID=3857;POLYGON((0 0, 1 0, 1 1, 0 0))", "only SRID 4326"),
            ("POLYGON", "expected `(`"),
        ] {
            let refused = text.parse::<Area>().unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
