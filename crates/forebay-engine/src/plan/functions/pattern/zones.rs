//! Zones as texts: by the name of a region, and by what people call its time.
//!
//! What times are called is in `zone_names.txt`, written by `tests/oracle/date_patterns.py` from what a Java tells (Unicode's
//! names): a line for each set of names (short and long of standard and of daylight time, and the regions that have them),
//! behind an empty line each name with the region that it means where it is read.

use std::collections::HashMap;
use std::sync::LazyLock;

use forebay_core::Zone;

use super::offset::{Form, ID};
use super::read::strip;

const TEXT: &str = include_str!("zone_names.txt");

/// The names of a region's times: standard short and long, daylight short and long.
type Names = [&'static str; 4];

struct Known {
    /// Names by regions.
    names: HashMap<&'static str, Names>,
    /// Regions by what people call them, short and in full, in lower case.
    called: [HashMap<String, Zone>; 2],
    /// Regions by their own names in lower case.
    regions: HashMap<String, Zone>,
    /// The longest of all names, in characters.
    longest: usize,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let (sets, meanings) = TEXT.split_once("\n\n").unwrap_or((TEXT, ""));
    let meaning = |line: &'static str| {
        let (name, region) = line.split_once('\t')?;
        Some((name, Zone::read(region).ok()?))
    };
    let meanings: HashMap<&str, Zone> = meanings.lines().filter_map(meaning).collect();
    let (mut names, mut called, mut regions) =
        (HashMap::new(), [HashMap::new(), HashMap::new()], HashMap::new());
    for line in sets.lines() {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let of: Names = [next(), next(), next(), next()];
        for region in next().split(' ') {
            names.insert(region, of);
            // Java knows fewer regions than others.
            regions.extend(Zone::read(region).ok().map(|zone| (region.to_lowercase(), zone)));
        }
        for (index, name) in of.into_iter().enumerate() {
            if let (Some(called), Some(zone)) = (called.get_mut(index % 2), meanings.get(name)) {
                called.insert(name.to_lowercase(), *zone);
            }
        }
    }
    let longest =
        called.iter().flat_map(HashMap::keys).chain(regions.keys()).map(|name| name.chars().count()).max();
    Known { names, called, regions, longest: longest.unwrap_or_default() }
});

/// What the zone's time is called at an instant, seconds since 1970; `None` for one that has only an offset.
pub(super) fn name(zone: Zone, utc: i64, full: bool) -> Option<&'static str> {
    if zone == Zone::UTC {
        return Some(if full { "Coordinated Universal Time" } else { "UTC" });
    }
    let Zone::Region(region) = zone else { return None };
    let names = KNOWN.names.get(region.name())?;
    names.get(usize::from(full) + 2 * usize::from(zone.is_daylight(utc))).copied()
}

/// Reads a zone: an offset, `UTC+01:00`, a region, or what people call its time, if it says whether in full. The longest
/// that fits.
pub(super) fn read(text: &str, called: Option<bool>) -> Option<(Zone, &str)> {
    if text.starts_with(['+', '-']) {
        return ID.read(text).map(|(offset, rest)| (Zone::Offset(offset), rest));
    }
    let prefix =
        ["UTC", "GMT0", "GMT", "UT"].into_iter().find_map(|prefix| Some((prefix, strip(text, prefix)?)));
    if let Some((prefix, rest)) = prefix {
        let behind = Form { zero: "0", ..ID }.read(rest);
        // An offset of zero stands in no name of a zone.
        let is_offset = prefix != "GMT0" && rest.starts_with(['+', '-']);
        return Some(
            behind
                .filter(|_| is_offset)
                .map_or((Zone::UTC, rest), |(offset, rest)| (Zone::Offset(offset), rest)),
        );
    }
    let known = &*KNOWN;
    let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8()).take(known.longest);
    let mut longest = None;
    let mut name = String::new();
    for (end, letter) in ends.zip(text.chars()) {
        name.extend(letter.to_lowercase());
        let of_time = || known.called.get(usize::from(called?))?.get(&name);
        if let Some(zone) = known.regions.get(&name).or_else(of_time) {
            longest = Some((*zone, text.get(end..)?));
        }
    }
    longest.or_else(|| strip(text, "Z").map(|rest| (Zone::UTC, rest)))
}
