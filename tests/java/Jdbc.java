import java.sql.*;
import java.util.*;

/** PostgreSQL's JDBC driver against a server; ends with a line that says what was done. */
class Jdbc {
    static void check(Object found, Object expected, String what) {
        if (!Objects.equals(found, expected)) throw new AssertionError(what + ": " + found + ", not " + expected);
    }

    static List<List<String>> rows(ResultSet result) throws SQLException {
        List<List<String>> rows = new ArrayList<>();
        int columns = result.getMetaData().getColumnCount();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            for (int column = 1; column <= columns; column++) row.add(result.getString(column));
            rows.add(row);
        }
        return rows;
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], "any", "")) {
            try (Statement statement = connection.createStatement()) {
                ResultSet result = statement.executeQuery("SELECT page, n FROM per_page WHERE page < 'd' ORDER BY page");
                check(result.getMetaData().getColumnName(1), "page", "a name");
                check(rows(result), List.of(List.of("a", "2"), List.of("b", "1"), List.of("c", "1")), "a query");
                statement.execute("CREATE STREAM jdbc_made (id INT KEY, word STRING) WITH (kafka_topic='jdbc_made', partitions=1, value_format='JSON')");
                check(statement.executeUpdate("INSERT INTO jdbc_made (id, word) VALUES (1, 'one'), (2, 'two')"), 2, "rows written");
            }
            // Often enough that the driver prepares it in the server, and asks for binary values.
            try (PreparedStatement statement = connection.prepareStatement("SELECT n, total, page FROM per_page WHERE page = ? AND n >= ?")) {
                for (int round = 0; round < 8; round++) {
                    statement.setString(1, "a");
                    statement.setLong(2, 1);
                    ResultSet result = statement.executeQuery();
                    check(result.next(), true, "a row");
                    check(result.getLong("n"), 2L, "a number");
                    check(result.getInt("TOTAL"), 40, "a name in any case of letters");
                }
            }
            try (PreparedStatement statement = connection.prepareStatement("INSERT INTO jdbc_made (id, word) VALUES (?, ?)")) {
                for (int id = 3; id < 6; id++) {
                    statement.setInt(1, id);
                    statement.setString(2, "it's " + id);
                    statement.addBatch();
                }
                check(statement.executeBatch().length, 3, "a batch");
            }
            // With a cursor in the protocol, so many rows at a time.
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(2);
                List<List<String>> found = rows(statement.executeQuery("SELECT id, word FROM jdbc_made ORDER BY id"));
                check(found.size(), 5, "rows in parts");
                check(found.get(4), List.of("5", "it's 5"), "the last of them");
            }
            connection.commit();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT nope FROM per_page");
                throw new AssertionError("a wrong column is not refused");
            } catch (SQLException error) {
                check(error.getSQLState(), "42703", "the code of a wrong column");
            }
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                rows(statement.executeQuery("SELECT * FROM jdbc_made EMIT CHANGES"));
                throw new AssertionError("what takes too long is not cancelled");
            } catch (SQLException error) {
                check(error.getSQLState(), "57014", "the code of what was cancelled");
            }
            DatabaseMetaData data = connection.getMetaData();
            List<String> names = new ArrayList<>();
            for (List<String> table : rows(data.getTables(null, "public", "%", new String[] {"TABLE"}))) names.add(table.get(2));
            check(names.contains("per_page"), true, "tables: " + names);
            List<String> columns = new ArrayList<>();
            for (List<String> column : rows(data.getColumns(null, "public", "per_page", "%"))) columns.add(column.get(3) + " " + column.get(5));
            check(columns, List.of("page text", "n int8", "total int4"), "columns");
        }
        System.out.println("JDBC: all as expected");
    }
}
