import java.math.BigDecimal;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Struct;
import java.sql.Timestamp;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;

/**
 * Answers the questions of the Python tests through JDBC. Arguments: the URL; each line of standard input is a request,
 * each line of standard output a part of an answer: name, kind, values, all escaped and with tabs between them.
 *
 * Requests: ask SQL SETTINGS ARGUMENT..., digest SQL, fill SOURCE TARGET, tables, columns, schemas, cancel SQL.
 */
public class Asked {
    private static final java.time.format.DateTimeFormatter TIME =
            new DateTimeFormatterBuilder()
                    .appendPattern("yyyy-MM-dd HH:mm:ss")
                    .appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true)
                    .toFormatter();

    private static java.io.PrintStream out;
    private static String url;

    public static void main(String[] arguments) throws Exception {
        out = new java.io.PrintStream(System.out, false, StandardCharsets.UTF_8);
        url = arguments[0];
        String text = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        try (Connection connection = DriverManager.getConnection(url, new Properties())) {
            for (String line : text.split("\n")) {
                String[] parts = line.split("\t", -1);
                for (int i = 0; i < parts.length; i++) {
                    parts[i] = unescape(parts[i]);
                }
                try {
                    respond(connection, parts);
                } catch (SQLException error) {
                    say(parts[0], "error", String.valueOf(error.getErrorCode()), String.valueOf(error.getMessage()));
                } catch (RuntimeException error) {
                    say(parts[0], "error", "-1", String.valueOf(error));
                }
            }
        }
        out.flush();
    }

    private static void respond(Connection connection, String[] parts) throws SQLException {
        String name = parts[0];
        switch (parts[1]) {
            case "ask" -> ask(connection, parts);
            case "digest" -> digest(connection, name, parts[2]);
            case "fill" -> fill(connection, name, parts[2], parts[3]);
            case "cancel" -> cancel(connection, name, parts[2]);
            case "schemas" -> list(name, connection.getMetaData().getSchemas(), "TABLE_SCHEM");
            case "tables" -> list(name, connection.getMetaData().getTables(null, parts[2], "%", null),
                    "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS");
            case "columns" -> list(name, connection.getMetaData().getColumns(null, parts[2], parts[3], "%"),
                    "COLUMN_NAME", "TYPE_NAME", "NULLABLE", "REMARKS", "ORDINAL_POSITION");
            case "product" -> product(connection.getMetaData(), name);
            default -> throw new IllegalArgumentException(parts[1]);
        }
    }

    private static void ask(Connection shared, String[] parts) throws SQLException {
        Properties settings = new Properties();
        for (String pair : parts[3].isEmpty() ? new String[0] : parts[3].split(",")) {
            String[] both = pair.split("=");
            settings.setProperty("clickhouse_setting_" + both[0], both[1]);
        }
        Connection connection = settings.isEmpty() ? shared : DriverManager.getConnection(url, settings);
        try {
            if (parts.length == 4) {
                try (Statement statement = connection.createStatement()) {
                    tell(parts[0], statement.executeQuery(parts[2]));
                }
            } else {
                try (PreparedStatement statement = connection.prepareStatement(parts[2])) {
                    for (int i = 4; i < parts.length; i++) {
                        statement.setObject(i - 3, parts[i].startsWith("#") ? new BigDecimal(parts[i].substring(1)) : parts[i]);
                    }
                    tell(parts[0], statement.executeQuery());
                }
            }
        } finally {
            if (connection != shared) {
                connection.close();
            }
        }
    }

    private static void tell(String name, ResultSet found) throws SQLException {
        ResultSetMetaData meta = found.getMetaData();
        String[] row = new String[meta.getColumnCount()];
        for (int i = 0; i < row.length; i++) {
            row[i] = meta.getColumnTypeName(i + 1);
        }
        List<String[]> rows = new ArrayList<>();
        rows.add(row);
        while (found.next()) {
            row = new String[meta.getColumnCount()];
            for (int i = 0; i < row.length; i++) {
                Object value = found.getObject(i + 1);
                // A Timestamp has the column's own clock; with the zone it is a point in time.
                row[i] = plain(value instanceof Timestamp ? found.getObject(i + 1, ZonedDateTime.class) : value);
            }
            rows.add(row);
        }
        say(name, "types", rows.get(0));
        for (String[] one : rows.subList(1, rows.size())) {
            say(name, "row", one);
        }
    }

    private static void list(String name, ResultSet found, String... columns) throws SQLException {
        say(name, "types", columns);
        while (found.next()) {
            String[] row = new String[columns.length];
            for (int i = 0; i < row.length; i++) {
                row[i] = String.valueOf(found.getString(columns[i]));
            }
            say(name, "row", row);
        }
    }

    private static void product(DatabaseMetaData meta, String name) throws SQLException {
        say(name, "types", "name", "version", "driver");
        say(name, "row", meta.getDatabaseProductName(), meta.getDatabaseProductVersion(), meta.getDriverVersion());
    }

    private static void digest(Connection connection, String name, String sql) throws SQLException {
        long rows = 0;
        long sum = 0;
        Map<String, Integer> words = new TreeMap<>();
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(10_000);
            ResultSet found = statement.executeQuery(sql);
            while (found.next()) {
                rows++;
                sum += found.getLong(1);
                words.merge(found.getString(2), 1, Integer::sum);
            }
        }
        List<String> values = new ArrayList<>(List.of(String.valueOf(rows), String.valueOf(sum)));
        words.forEach((word, count) -> values.add(word + "=" + count));
        say(name, "digest", values.toArray(String[]::new));
    }

    private static void fill(Connection connection, String name, String source, String target) throws SQLException {
        int count = 0;
        try (Statement reading = connection.createStatement()) {
            ResultSet found = reading.executeQuery("SELECT * FROM " + source);
            int columns = found.getMetaData().getColumnCount();
            String marks = "?" + ", ?".repeat(columns - 1);
            try (PreparedStatement writing = connection.prepareStatement("INSERT INTO " + target + " VALUES (" + marks + ")")) {
                while (found.next()) {
                    for (int i = 1; i <= columns; i++) {
                        writing.setObject(i, writable(connection, found, i));
                    }
                    writing.addBatch();
                }
                for (int done : writing.executeBatch()) {
                    count += done == Statement.SUCCESS_NO_INFO ? 1 : done;
                }
            }
        }
        say(name, "count", String.valueOf(count));
    }

    private static Object writable(Connection connection, ResultSet found, int column) throws SQLException {
        Object value = found.getObject(column);
        String kind = found.getMetaData().getColumnTypeName(column);
        if (value instanceof Timestamp) {
            return found.getObject(column, ZonedDateTime.class);
        }
        if (value instanceof Object[] values && kind.startsWith("Tuple")) {
            return connection.createStruct(kind, values);
        }
        return value;
    }

    /** Starts a query that does not end, cancels it from another thread, and tells how it ended. */
    private static void cancel(Connection connection, String name, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            Thread other = new Thread(() -> {
                try {
                    Thread.sleep(500);
                    statement.cancel();
                } catch (Exception error) {
                    System.err.println(error);
                }
            });
            other.start();
            try {
                statement.executeQuery(sql);
                say(name, "count", "0");
            } catch (SQLException error) {
                say(name, "error", String.valueOf(error.getErrorCode()), String.valueOf(error.getMessage()));
            }
        }
    }

    private static String plain(Object value) throws SQLException {
        if (value == null) {
            return "NULL";
        }
        if (value instanceof BigDecimal number) {
            return number.signum() == 0 ? "0" : number.stripTrailingZeros().toPlainString();
        }
        if (value instanceof Float || value instanceof Double) {
            return plain(new BigDecimal(value.toString()));
        }
        if (value instanceof java.sql.Date day) {
            return day.toLocalDate().toString();
        }
        if (value instanceof Timestamp time) {
            return plain(time.toInstant());
        }
        if (value instanceof ZonedDateTime time) {
            return plain(time.toInstant());
        }
        if (value instanceof OffsetDateTime time) {
            return plain(time.toInstant());
        }
        if (value instanceof Instant time) {
            return plain(LocalDateTime.ofInstant(time, ZoneOffset.UTC));
        }
        if (value instanceof LocalDateTime time) {
            return TIME.format(time);
        }
        if (value instanceof Inet6Address address) {
            return address.getHostAddress();
        }
        if (value instanceof InetAddress address) {
            return address.getHostAddress();
        }
        if (value instanceof Struct struct) {
            return plain(struct.getAttributes());
        }
        if (value instanceof Array array) {
            return plain(array.getArray());
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, String> sorted = new TreeMap<>();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                sorted.put(plain(entry.getKey()), plain(entry.getValue()));
            }
            List<String> parts = new ArrayList<>();
            sorted.forEach((key, one) -> parts.add(key + ":" + one));
            return "{" + String.join(",", parts) + "}";
        }
        if (value instanceof List<?> list) {
            return plain(list.toArray());
        }
        if (value.getClass().isArray()) {
            List<String> parts = new ArrayList<>();
            for (int i = 0; i < java.lang.reflect.Array.getLength(value); i++) {
                parts.add(plain(java.lang.reflect.Array.get(value, i)));
            }
            return "[" + String.join(",", parts) + "]";
        }
        return value.toString();
    }

    private static void say(String name, String kind, String... values) {
        List<String> parts = new ArrayList<>(List.of(escape(name), kind));
        for (String value : values) {
            parts.add(escape(value));
        }
        out.print(String.join("\t", parts) + "\n");
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r");
    }

    private static String unescape(String text) {
        StringBuilder found = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char one = text.charAt(i);
            if (one == '\\') {
                char next = text.charAt(++i);
                found.append(next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next);
            } else {
                found.append(one);
            }
        }
        return found.toString();
    }
}
