#!/usr/bin/env python3
"""Asks a real Spark what date patterns write and read, and a real Java how zones are called:

    scripts/services/spark-python.sh tests/oracle/date_patterns.py

writes `date_patterns.json` beside this file, and what Java's names of zones are to `zone_names.txt` in the engine. The unit
tests of the engine hold Forebay to the first (`every_pattern_writes_what_spark_writes` and its neighbours).
"""

import datetime
import json
import pathlib
import re

import pyspark
from py4j.protocol import Py4JJavaError
from pyspark.java_gateway import launch_gateway

HERE = pathlib.Path(__file__).resolve().parent
ANSWERS = HERE / "date_patterns.json"
NAMES = HERE.parents[1] / "crates/forebay-engine/src/plan/functions/pattern/zone_names.txt"

ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "America/Sao_Paulo", "Africa/Monrovia",
         "Australia/Lord_Howe", "+05:30", "-03:00"]


def micros(year, *rest, us=0):
    """Microseconds since 1970; years before 1 are moved by 400-year cycles, which have as many days."""
    cycles, year = divmod(year - 1, 400)
    moment = datetime.datetime(year + 1, *rest, tzinfo=datetime.timezone.utc)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (since.days + cycles * 146_097) * 86_400_000_000 + since.seconds * 1_000_000 + us


INSTANTS = [
    micros(2024, 2, 29, 14, 20, 9, us=123_456), 0, -1, micros(2024, 7, 15, us=1), micros(2024, 7, 15, 12, 59, 59, us=100_000),
    micros(2024, 10, 27, 0, 30), micros(2024, 10, 27, 1, 30), micros(2023, 12, 31, 23, 59, 59, us=999_999),
    micros(2005, 5, 1, 9, 5, 3), micros(1890, 11, 8, 6), micros(9999, 12, 30), micros(10_000, 1, 3), micros(123_456, 6, 7, 8),
    micros(1, 1, 2), micros(0, 8, 31, 17), micros(-43, 3, 15, 11, 30), micros(-12_345, 4, 4),
    micros(1963, 8, 30, 12, us=50),
]

# Each letter in each width, and what people write.
LETTERS = [letter * width for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" for width in range(1, 7)]
LETTERS += ["y" * 7, "u" * 11, "S" * 7, "S" * 8, "S" * 9, "S" * 10, "D" * 7, "'" + "x" * 3 + "'"]
TOGETHER = [
    "dd/MM/yyyy HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "EEEE, d MMMM yyyy", "hh:mm a", "yyyyMMddHHmmssSSS", "yy'yy'yy",
    "h 'o''clock'", "''yyyy''", "'' ''", "'open", "yyyy'", "'it''s' ''''", "[yyyy][-MM][ 'x']", "yyyy[", "yyyy]", "[[yyyy]-[MM]]", "{yyyy}", "yyyy#",
    "yyyy}", "", " ", "é yyyy ß", "yyyy年MM月dd日", "G yyyy", "yyyy G", "yyyyy GGGG", "y G", "yy G", "k K H h", "D F", "QQQ yyyy", "q'q'",
    "VV z zzzz", "O OOOO", "X XX XXX XXXX XXXXX", "x xx xxx xxxx xxxxx", "Z ZZ ZZZ ZZZZ ZZZZZ", "yyyy-MM-dd HH:mm:ss.S", "ss.SSS", "LLLL LLL LL L",
    "YYYY-ww", "'YYYY'", "e", "yyyyMM''dd", "d.M.y", "yyyyyy-MM", "yyy", "MMMMM", "EEEEE", "EEE, dd MMM yyyy HH:mm:ss Z", "%Y-%m-%d", "yyyy-MM-dd ",
    "a a", "yyyy-DDD", "yyyy,MM;dd:HH|mm!ss", "\"yyyy\"", "<yyyy>", "yyyy\\MM", "v", "vvvv", "g", "yyyy-MM-dd\tHH", "'[yyyy'", "[']'yyyy]",
]
OF_ZONES = ["VV", "z", "zzz", "zzzz", "O", "OOOO", "X", "XX", "XXX", "XXXX", "XXXXX", "x", "xx", "xxx", "xxxx", "xxxxx", "Z", "ZZZZ",
            "ZZZZZ", "yyyy-MM-dd HH:mm:ss", "dd/MM/yyyy HH:mm:ss.SSS z", "EEE d MMM G y k:mm a"]

# (pattern, texts): what fits, and what nearly does.
READ = [
    ("yyyy-MM-dd HH:mm:ss", ["2024-02-29 14:20:09", "2024-2-29 00:00:00", "2023-02-29 00:00:00", "2024-02-29 24:00:00", "2024-02-29 23:59:60",
                             "2024-02-29 00:00:00x", " 2024-02-29 00:00:00", "", "é", "+2024-02-29 00:00:00", "-2024-02-29 00:00:00",
                             "+12024-02-29 00:00:00", "12024-02-29 00:00:00", "0000-01-01 00:00:00", "-0000-01-01 00:00:00", "٢٠٢٤-02-29 00:00:00"]),
    ("dd/MM/yyyy HH:mm:ss", ["29/02/2024 14:20:09", "29/02/24 14:20:09", "31/04/2024 00:00:00"]),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", ["2024-02-29T15:20:09.123456+01:00", "2024-02-29t15:20:09.1z", "2024-02-29T15:20:09.Z",
                                         "2024-02-29T15:20:09.1234567Z", "2024-02-29T15:20:09.5+0100", "2024-02-29T15:20:09.5+18:01"]),
    ("yyyyMMddHHmmss", ["20240229142009", "2024022914200", "202402291420091", "+120240229142009"]),
    ("yyyyMMddHHmmssSSS", ["20240229142009123", "202402291420091", "20240229142009"]),
    ("yyyyMd", ["202419", "2024119", "20241129"]), ("yMMdd", ["20240229", "70101", "50230229", "-440315"]), ("dMy", ["1122024"]),
    ("HHmmss", ["142009", "14209"]), ("ssS", ["091", "0912"]), ("ssSS", ["0912", "091", "09"]), ("SSS", ["1", "12", "123", "1234", ""]),
    ("ss.SSSSSSSSS", ["09.123456789", "09.1", "09.1234567891"]),
    ("d/M/yyyy h:mm a", ["29/2/2024 2:20 PM", "29/2/2024 2:20 pm", "29/2/2024 12:20 AM", "29/2/2024 0:20 AM", "29/2/2024 13:20 PM", "29/2/2024 2:20 P"]),
    ("h:mm", ["2:20", "12:20"]), ("K:mm a", ["0:20 PM", "11:20 AM", "12:20 AM"]), ("K", ["11"]), ("k:mm", ["24:20", "1:20", "0:20"]), ("a", ["PM", "AM"]),
    ("HH a", ["14 PM", "14 AM", "02 AM"]), ("H h a", ["14 2 PM", "14 3 PM", "14 2 AM"]), ("mm", ["05", "60"]), ("s", ["7", "07", "007", "60"]),
    ("yy-M-d", ["24-2-9", "99-12-31", "00-1-1", "2024-2-9", "-1-1-1"]), ("yyy-MM", ["2024-02", "024-02", "24-02", "-024-02"]),
    ("y-MM", ["2024-02", "4-02", "-44-03", "+44-03", "123456-03", "999999-01", "12345678901-03"]), ("yyyyy-MM", ["02024-02", "2024-02", "+123456-02"]),
    ("yyyyyy-MM", ["002024-02", "123456-02"]), ("yy G", ["24 AD", "24 BC"]),
    ("yyyy G", ["2024 AD", "0044 BC", "2024 ad", "0000 BC", "-044 BC", "2024 A"]), ("yyyy GGGG", ["0044 Before Christ", "2024 Anno Domini", "2024 AD"]),
    ("G", ["BC", "AD"]), ("yyyy[ G]", ["2024 AD", "2024", "0044 BC"]),
    ("d MMM yyyy", ["29 Feb 2024", "29 FEB 2024", "29 February 2024", "1 May 2024", "29 Fe 2024"]), ("d MMMM yyyy", ["29 February 2024", "29 february 2024", "29 Feb 2024"]),
    ("LLL yyyy", ["Feb 2024", "feb 2024"]), ("LLLL yyyy", ["February 2024"]), ("L yyyy", ["2 2024", "13 2024"]),
    ("E d MMM yyyy", ["Thu 29 Feb 2024"]), ("F", ["1"]), ("Q", ["1"]), ("q", ["1"]), ("QQQ yyyy", ["Q1 2024"]),
    ("yyyy-DDD", ["2024-060", "2024-366", "2023-366", "2024-60", "2024-000"]), ("yyyy-D", ["2024-60", "2024-060", "2024-0060"]), ("yyyy-DD", ["2024-60", "2024-366", "2024-6"]), ("D", ["60"]),
    ("yyyyDDD", ["2024060", "202460"]), ("yyyy-MM-dd D", ["2024-02-29 60", "2024-02-29 61"]), ("yyyy MM D", ["2024 02 60", "2024 03 60"]), ("yyyy dd DDD", ["2024 29 060", "2024 28 060"]),
    ("MM", ["02", "13", "00", "2"]), ("M", ["2", "13", "+2", "-2"]), ("MM-dd", ["02-28", "02-29"]), ("dd", ["31", "32"]), ("d", ["031", "31"]), ("yyyy", ["2024", "12024"]), ("yyyy yyyy", ["2024 2024", "2024 2025"]),
    ("yyyy-MM-dd[ HH:mm[:ss]]", ["2024-02-29", "2024-02-29 14:20", "2024-02-29 14:20:09", "2024-02-29 14", "2024-02-29 "]), ("[yyyy][-MM]", ["2024", "-02", "2024-02", ""]),
    ("'T'HH", ["T14", "t14", "14"]), ("h 'o''clock' a", ["2 o'clock PM", "2 O'CLOCK PM"]), ("''HH", ["'14", "14"]),
    ("HH:mm X", ["14:20 Z", "14:20 +01", "14:20 +0130", "14:20 +01:30", "14:20 -00", "14:20 +1"]), ("HH:mm XX", ["14:20 +0130", "14:20 +01", "14:20 Z"]),
    ("HH:mm XXX", ["14:20 +01:30", "14:20 +0130", "14:20 +01", "14:20 +19:00", "14:20 +01:60"]), ("HH:mm XXXX", ["14:20 +013005", "14:20 +0130", "14:20 +01"]),
    ("HH:mm XXXXX", ["14:20 +01:30:05", "14:20 +01:30", "14:20 z"]), ("HH:mm x", ["14:20 +00", "14:20 +01", "14:20 +0030", "14:20 Z"]), ("HH:mm xx", ["14:20 +0000", "14:20 +0130"]),
    ("HH:mm xxx", ["14:20 +00:00", "14:20 +01:30", "14:20 Z"]), ("HH:mm Z", ["14:20 +0000", "14:20 +0130", "14:20 Z", "14:20 +01:30"]), ("HH:mm ZZZZ", ["14:20 GMT", "14:20 GMT+01:00", "14:20 gmt-01:30", "14:20 GMT+1", "14:20 +01:00"]),
    ("HH:mm ZZZZZ", ["14:20 +01:00", "14:20 Z", "14:20 +01:00:30"]), ("HH:mm O", ["14:20 GMT", "14:20 GMT+1", "14:20 GMT+01:30", "14:20 GMT+18:30", "14:20 UTC+1", "14:20 GMT+1:5"]),
    ("HH:mm OOOO", ["14:20 GMT+01:00", "14:20 GMT+1:00", "14:20 GMT"]),
    ("yyyy-MM-dd HH:mm VV", ["2024-07-01 14:20 Europe/Berlin", "2024-07-01 14:20 europe/berlin", "2024-07-01 14:20 Asia/Kolkata", "2024-07-01 14:20 Z", "2024-07-01 14:20 UTC",
                             "2024-07-01 14:20 +01:00", "2024-07-01 14:20 +01", "2024-07-01 14:20 +0100", "2024-07-01 14:20 UTC+01:00", "2024-07-01 14:20 GMT+01:00", "2024-07-01 14:20 GMT+1",
                             "2024-07-01 14:20 Mars/Base", "2024-07-01 14:20 EST", "2024-07-01 14:20 GMT", "2024-07-01 14:20 UT", "2024-07-01 14:20 CET", "2024-07-01 14:20 Etc/GMT+5", "2024-07-01 14:20 "]),
    ("yyyy-MM-dd HH:mm z", ["2024-07-01 14:20 UTC", "2024-07-01 14:20 GMT", "2024-07-01 14:20 Z", "2024-07-01 14:20 PST", "2024-07-01 14:20 PDT", "2024-07-01 14:20 CET", "2024-07-01 14:20 CEST", "2024-07-01 14:20 pst",
                            "2024-07-01 14:20 IST", "2024-07-01 14:20 CST", "2024-07-01 14:20 BST", "2024-07-01 14:20 Europe/Berlin", "2024-07-01 14:20 +01:00", "2024-07-01 14:20 MESZ", "2024-07-01 14:20 Pacific Standard Time", "2024-07-01 14:20 XYZ"]),
    ("yyyy-MM-dd HH:mm zzzz", ["2024-07-01 14:20 Pacific Standard Time", "2024-07-01 14:20 Pacific Daylight Time", "2024-07-01 14:20 Central European Summer Time", "2024-07-01 14:20 Coordinated Universal Time", "2024-07-01 14:20 PST", "2024-07-01 14:20 UTC"]),
    ("yyyy-MM-dd HH:mm VV XXX", ["2024-07-01 14:20 Europe/Berlin +02:00", "2024-07-01 14:20 Europe/Berlin +05:00"]),
    ("HH:mm X Z", ["14:20 Z +0000", "14:20 +01 +0200"]), ("YYYY", ["2024"]), ("A", ["1"]), ("v", ["PT"]), ("g", ["60000"]), ("n", ["5"]), ("", ["", " "]), ("yyyy#", ["2024#"]), ("'open", ["x"]), ("SSSSSSSSSS", ["1"]),
    ("yyyy-MM-ddHH", ["2024-02-2914"]), ("HHZ", ["14+0100"]), ("yyyy MMM", ["2024 Sept"]), ("MMMM", ["May", "MAY", "June"]), ("HH:mm:ss[.SSS][XXX]", ["14:20:09", "14:20:09.5", "14:20:09Z", "14:20:09.123+01:00"]),
]


class Asked:
    """Spark's own formatter, which `date_format`, `to_timestamp` and their like call for each row."""

    def __init__(self, jvm):
        util = jvm.org.apache.spark.sql.catalyst.util
        self.jvm = jvm
        self.formatter = getattr(getattr(util, "TimestampFormatter$"), "MODULE$")
        self.legacy = getattr(getattr(util, "LegacyDateFormats$"), "MODULE$").SIMPLE_DATE_FORMAT()

    def of(self, pattern, zone, is_parsing):
        jvm = self.jvm
        return self.formatter.apply(pattern, jvm.java.time.ZoneId.of(zone), jvm.java.util.Locale.US, self.legacy, is_parsing)

    def written(self, pattern, zone):
        try:
            formatter = self.of(pattern, zone, False)
            return {"texts": [formatter.format(at) for at in INSTANTS]}
        except Py4JJavaError as error:
            return {"refused": reason(error)}

    def read(self, pattern, zone, text):
        try:
            return {"micros": self.of(pattern, zone, True).parse(text)}
        except Py4JJavaError as error:
            return {"refused": reason(error)}


def reason(error):
    """The name of Spark's error, or of Java's."""
    name = error.java_exception.getClass().getSimpleName()
    found = re.match(r"\[([A-Z_.]+)\]", error.java_exception.getMessage() or "")
    return found.group(1) if found else name


def zone_names(jvm):
    """One line for each set of names: short and long of standard and of daylight time, and the zones that have it; then
    each name of two zones or more with the zone that Java takes it for."""
    us = jvm.java.util.Locale.US
    by_names, ids = {}, sorted(jvm.java.time.ZoneId.getAvailableZoneIds())
    for zone in ids:
        it = jvm.java.util.TimeZone.getTimeZone(zone)
        names = tuple(it.getDisplayName(dst, style, us) for dst in (False, True) for style in (0, 1))
        by_names.setdefault(names, []).append(zone)
    meant = {}
    for pattern, places in (("z", (0, 2)), ("zzzz", (1, 3))):
        formatter = (jvm.java.time.format.DateTimeFormatterBuilder().parseCaseInsensitive().appendPattern(pattern).toFormatter(us))
        for name in sorted({names[place] for names in by_names for place in places}):
            try:
                meant[name] = formatter.parse(name).query(jvm.java.time.temporal.TemporalQueries.zone()).getId()
            except Exception:
                meant[name] = ""
    return by_names, meant


def main():
    gateway = launch_gateway()
    jvm = gateway.jvm
    asked = Asked(jvm)
    written, read = [], []
    for zone in ZONES:
        for pattern in dict.fromkeys(LETTERS + TOGETHER if zone == "UTC" else OF_ZONES):
            written.append({"zone": zone, "pattern": pattern, **asked.written(pattern, zone)})
    for zone in ("UTC", "America/Los_Angeles"):
        for pattern, texts in READ:
            read += [{"zone": zone, "pattern": pattern, "text": text, **asked.read(pattern, zone, text)} for text in texts]
    lines = {key: ",\n".join(json.dumps(line, ensure_ascii=False) for line in of) for key, of in (("written", written), ("read", read))}
    head = json.dumps({"by": f"Apache Spark {pyspark.__version__}", "with": "tests/oracle/date_patterns.py", "instants": INSTANTS})[:-1]
    ANSWERS.write_text(head + "".join(f', "{key}": [\n{text}\n]' for key, text in lines.items()) + "}\n")
    by_names, meant = zone_names(jvm)
    text = "".join("\t".join(names) + "\t" + " ".join(zones) + "\n" for names, zones in sorted(by_names.items()))
    text += "\n" + "".join(f"{name}\t{zone}\n" for name, zone in sorted(meant.items()))
    NAMES.parent.mkdir(exist_ok=True)
    NAMES.write_text(text)
    gateway.shutdown()


if __name__ == "__main__":
    main()
