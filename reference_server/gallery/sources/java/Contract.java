import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The endpoints of the contract, on the HTTP server of the JDK. */
final class Contract {
    private Contract() {}

    /** The sum of all values of the query. */
    static long querySum(HttpExchange exchange) {
        String query = exchange.getRequestURI().getRawQuery();
        long sum = 0;
        if (query != null) {
            for (String pair : query.split("&")) {
                sum += Long.parseLong(pair.substring(pair.indexOf('=') + 1));
            }
        }
        return sum;
    }

    static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.US_ASCII);
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    static void pipeline(HttpExchange exchange) throws IOException {
        answer(exchange, "ok");
    }

    static void baseline(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        String text = new String(body, StandardCharsets.US_ASCII).strip();
        long sum = querySum(exchange) + (text.isEmpty() ? 0 : Long.parseLong(text));
        answer(exchange, Long.toString(sum));
    }

    /** Counts the body while it arrives, and drops it. */
    static void upload(HttpExchange exchange) throws IOException {
        byte[] piece = new byte[64 * 1024];
        long received = 0;
        InputStream body = exchange.getRequestBody();
        for (int n = body.read(piece); n >= 0; n = body.read(piece)) {
            received += n;
        }
        answer(exchange, Long.toString(received));
    }
}
