// pgjdbc: DatabaseMetaData, prepared statements in text and binary form, fetch size, types, batches refused, timeouts that cancel.
//
//   tests/clients/postgres/pgjdbc.sh HOST:PORT

import java.sql.*;
import java.time.*;
import java.util.*;

public class Pgjdbc {
  static final Set<String> REFUSED = Set.of("25006", "0A000", "42501");
  // Hours wherever it runs: what a timeout must end (shared.py has the same).
  static final String SLOW = "SELECT count(*) FROM iot_device_events e0, iot_device_events e1, iot_device_events e2, iot_device_events e3, "
      + "iot_device_events e4, iot_device_events e5, iot_device_events e6, iot_device_events e7, iot_device_events e8, iot_device_events e9 "
      + "WHERE e0.pressure + e9.pressure > e5.pressure";

  interface Body { void run() throws Exception; }

  static void ok(String name) { System.out.println("OK " + name); }

  static void same(Object found, Object expected, String what) {
    if (!Objects.deepEquals(found, expected)) throw new AssertionError(what + "\n  came:     " + found + "\n  expected: " + expected);
  }

  static void fails(Set<String> states, String what, Body body) throws Exception {
    try {
      body.run();
    } catch (SQLException error) {
      if (!states.contains(error.getSQLState())) throw new AssertionError(what + ": " + error.getSQLState() + " " + error.getMessage(), error);
      return;
    }
    throw new AssertionError(what + ": it was not refused");
  }

  static Connection connect(String address, String options) throws SQLException {
    Properties who = new Properties();
    who.setProperty("user", Objects.requireNonNullElse(System.getenv("PGUSER"), "forebay"));
    who.setProperty("password", Objects.requireNonNullElse(System.getenv("PGPASSWORD"), ""));
    String database = Objects.requireNonNullElse(System.getenv("PGDATABASE"), "forebay");
    return DriverManager.getConnection("jdbc:postgresql://" + address + "/" + database + options, who);
  }

  static List<String> strings(ResultSet rows, String column) throws SQLException {
    List<String> found = new ArrayList<>();
    while (rows.next()) found.add(rows.getString(column));
    return found;
  }

  static Object one(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
      rows.next();
      return rows.getObject(1);
    }
  }

  static void metadata(Connection connection) throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    same(about.getDatabaseProductName(), "PostgreSQL", "the product");
    assert about.getDatabaseMajorVersion() >= 12 : about.getDatabaseProductVersion();
    List<String> tables = strings(about.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME");
    for (String table : List.of("iot_device_events", "device_status", "device_temperature", "every_type"))
      if (!tables.contains(table)) throw new AssertionError(table + " is none of " + tables);
    assert strings(about.getSchemas(), "TABLE_SCHEM").contains("public") : "no schema public";
    same(strings(about.getColumns(null, "public", "device_status", "%"), "COLUMN_NAME"),
        List.of("window_start", "window_end", "customerId", "status", "events"), "columns of device_status");
    Map<String, Integer> kinds = new LinkedHashMap<>();
    try (ResultSet columns = about.getColumns(null, null, "every\\_type", null)) {
      while (columns.next()) kinds.put(columns.getString("COLUMN_NAME"), columns.getInt("DATA_TYPE"));
    }
    Map<String, Integer> expected = new LinkedHashMap<>();
    expected.put("id", Types.INTEGER); expected.put("small", Types.SMALLINT); expected.put("big", Types.BIGINT);
    expected.put("single", Types.REAL); expected.put("number", Types.DOUBLE); expected.put("exact", Types.NUMERIC);
    expected.put("flag", Types.BIT); expected.put("words", Types.VARCHAR); expected.put("bytes", Types.BINARY);
    expected.put("day", Types.DATE); expected.put("local_time", Types.TIMESTAMP); expected.put("instant", Types.TIMESTAMP);
    expected.put("tags", Types.ARRAY); expected.put("counts", Types.ARRAY);
    same(kinds, expected, "types of every_type");
    for (ResultSet rows : List.of(about.getPrimaryKeys(null, "public", "device_status"), about.getImportedKeys(null, "public", "device_status"),
        about.getExportedKeys(null, "public", "device_status"), about.getIndexInfo(null, "public", "device_status", false, true),
        about.getTablePrivileges(null, "public", "device_status"), about.getTypeInfo(), about.getCatalogs(), about.getTableTypes(),
        about.getFunctions(null, "public", "%"), about.getProcedures(null, "public", "%"))) {
      while (rows.next()) rows.getString(1);
      rows.close();
    }
    ok("DatabaseMetaData: tables, columns, types, keys, and that nothing of it fails");
  }

  // The rows of every_type as the driver gives them, in whatever form they were sent.
  static void values(Connection connection, String how) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM every_type WHERE id >= ? ORDER BY id")) {
      statement.setInt(1, 1);
      for (int time = 0; time < 7; time++) { // from the fifth time on the driver prepares, and asks for binary
        try (ResultSet rows = statement.executeQuery()) {
          rows.next();
          same(rows.getShort("small"), (short) 7, how);
          same(rows.getLong("big"), 9007199254740993L, how);
          same(rows.getFloat("single"), 1.5f, how);
          same(rows.getDouble("number"), 20.25, how);
          same(rows.getBigDecimal("exact").toPlainString(), "12.345000", how);
          same(rows.getBoolean("flag"), true, how);
          same(rows.getBytes("bytes"), new byte[] {0, 1, (byte) 255}, how);
          same(rows.getObject("day", LocalDate.class), LocalDate.of(2026, 1, 5), how);
          same(rows.getObject("local_time", LocalDateTime.class), LocalDateTime.parse("2026-01-05T11:13:53.643364"), how);
          same(rows.getObject("instant", OffsetDateTime.class).toInstant(), Instant.parse("2026-01-05T11:13:53.643364Z"), how);
          same(rows.getArray("tags").getArray(), new String[] {"a", "b"}, how);
          same(rows.getArray("counts").getArray(), new Long[] {1L, 2L, 3L}, how);
          rows.next();
          same(rows.getLong("big"), Long.MAX_VALUE, how);
          same(rows.getFloat("single"), 3.25e38f, how);
          same(rows.getDouble("number"), Double.MAX_VALUE, how);
          same(rows.getString("exact"), "99999999999999.999999", how);
          same(rows.getString("words"), "", how);
          same(rows.getObject("local_time", LocalDateTime.class), LocalDateTime.parse("9999-12-31T23:59:59.999999"), how);
          same(rows.getArray("tags").getArray(), new String[] {}, how);
          rows.next();
          same(rows.getLong("big"), Long.MIN_VALUE, how);
          same(rows.getDouble("number"), -Double.MIN_VALUE, how);
          same(rows.getString("words"), "it's \"quoted\", back\\slash, tab\t, new\nline, 'NULL', {a,b} and 日本語 🌡️ é", how);
          same(rows.getArray("tags").getArray(), new String[] {"with \"quotes\"", "comma, brace }", "NULL", "", null, "🌡️"}, how);
          same(rows.getArray("counts").getArray(), new Long[] {Long.MIN_VALUE, null}, how);
          rows.next();
          for (int column = 2; column <= 14; column++) same(rows.getObject(column), null, how + ", NULL in column " + column);
          rows.next();
          same(rows.getString("words"), "'; DROP TABLE iot_device_events; --", how);
          same(rows.next(), false, how);
        }
      }
    }
    ok("every value, " + how);
  }

  static void parameters(Connection connection) throws Exception {
    Object[][] cases = {
      {"\"deviceId\" = ?", "D\"4's 🌡", null}, {"\"eventOffset\" > ?", 10005L, null}, {"temperature < ?", 20.5, null},
      {"\"eventTime\" < ?", OffsetDateTime.parse("2026-01-05T11:15:00Z"), null},
      {"status = ANY(?)", connection.createArrayOf("text", new String[] {"ERROR", "STANDBY"}), "status IN ('ERROR', 'STANDBY')"},
    };
    String[] literal = {"\"deviceId\" = 'D\"4''s 🌡'", "\"eventOffset\" > 10005", "temperature < 20.5",
      "\"eventTime\" < timestamptz '2026-01-05 11:15:00Z'", "status IN ('ERROR', 'STANDBY')"};
    for (int at = 0; at < cases.length; at++) {
      Object expected = one(connection, "SELECT count(*) FROM iot_device_events WHERE " + literal[at]);
      assert (Long) expected > 0 : literal[at];
      try (PreparedStatement statement = connection.prepareStatement("SELECT count(*) FROM iot_device_events WHERE " + cases[at][0])) {
        statement.setObject(1, cases[at][1]);
        for (int time = 0; time < 7; time++) {
          try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            same(rows.getObject(1), expected, "a parameter of " + cases[at][0]);
          }
        }
      }
    }
    try (PreparedStatement statement = connection.prepareStatement("SELECT count(*) FROM iot_device_events WHERE ?::text IS NULL")) {
      statement.setNull(1, Types.VARCHAR);
      ResultSet rows = statement.executeQuery();
      rows.next();
      same(rows.getLong(1), 19L, "a parameter: NULL");
    }
    ok("prepared statements and their parameters, used again");
  }

  static void fetched(Connection connection) throws SQLException {
    connection.setAutoCommit(false); // without a transaction the driver ignores the fetch size
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(100);
      ResultSet rows = statement.executeQuery("SELECT n FROM generate_series(1, 5000) AS t(n) ORDER BY n");
      int last = 0;
      while (rows.next()) same(rows.getInt(1), ++last, "a row in its order");
      same(last, 5000, "rows by a hundred");
      statement.setMaxRows(10);
      rows = statement.executeQuery("SELECT n FROM generate_series(1, 5000) AS t(n)");
      int count = 0;
      while (rows.next()) count++;
      same(count, 10, "setMaxRows");
    }
    connection.commit();
    connection.setAutoCommit(true);
    ok("fetch size and the most rows");
  }

  static void refusals(Connection connection) throws Exception {
    String[][] faults = {{"SELECT * FROM no_such_table", "42P01"}, {"SELECT no_such_column FROM device_status", "42703"}, {"SELEC 1", "42601"}, {"SELECT 1 / 0", "22012"}};
    for (String[] fault : faults) {
      fails(Set.of(fault[1]), fault[0], () -> one(connection, fault[0]));
      same(one(connection, "SELECT 1"), 1, "the session after " + fault[0]);
    }
    for (String sql : List.of("CREATE TABLE made_by_jdbc (id int)", "INSERT INTO device_status (status) VALUES ('ERROR')", "UPDATE device_status SET events = 0", "DROP TABLE device_status"))
      fails(REFUSED, sql, () -> connection.createStatement().execute(sql));
    fails(REFUSED, "a batch", () -> {
      try (PreparedStatement batch = connection.prepareStatement("INSERT INTO device_status (status) VALUES (?)")) {
        for (String status : List.of("ERROR", "STANDBY")) {
          batch.setString(1, status);
          batch.addBatch();
        }
        batch.executeBatch();
      }
    });
    fails(REFUSED, "COPY", () -> connection.unwrap(org.postgresql.PGConnection.class).getCopyAPI().copyIn("COPY device_status FROM STDIN"));
    same(one(connection, "SELECT count(*) FROM device_status"), 16L, "nothing was changed");
    ok("faults and refusals have their SQLSTATE, and the session goes on");
  }

  static void timeouts(Connection connection) throws Exception {
    long begin = System.nanoTime();
    fails(Set.of("57014"), "setQueryTimeout", () -> {
      try (Statement statement = connection.createStatement()) {
        statement.setQueryTimeout(1);
        statement.executeQuery(SLOW);
      }
    });
    assert System.nanoTime() - begin < 20_000_000_000L : "a cancelled statement ended late";
    same(one(connection, "SELECT 1"), 1, "the session after a timeout");
    assert connection.isValid(5) : "isValid";
    ok("a timeout cancels the statement, not the session");
  }

  public static void main(String[] args) throws Exception {
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    boolean checked = false;
    assert checked = true;
    if (!checked) throw new AssertionError("run it with java -ea");
    for (String options : List.of("", "?preferQueryMode=simple", "?binaryTransfer=false")) {
      try (Connection connection = connect(args[0], options)) {
        same(one(connection, "SELECT 1"), 1, "SELECT 1");
        values(connection, options.isEmpty() ? "as pgjdbc asks by itself" : "with " + options.substring(1));
      }
    }
    try (Connection connection = connect(args[0], "")) {
      metadata(connection);
      parameters(connection);
      fetched(connection);
      refusals(connection);
      timeouts(connection);
    }
  }
}
