import com.sun.net.httpserver.HttpHandler;
import java.util.concurrent.ThreadLocalRandom;
import java.util.zip.CRC32;

/** What a fault changes about the server. */
final class Faults {
    private static final byte[] BLOCK = new byte[4 * 1024 * 1024];
    private static final Object LOCK = new Object();

    private Faults() {}

    static void apply(String name, Server server) {
        HttpHandler baseline = server.routes.get("/baseline11");
        switch (name) {
            // The thread that selects connections also serves their requests: the JDK's default.
            case "single" -> server.executor = null;
            // The same, and each request waits asleep for 20 ms.
            case "blocked_loop" -> {
                server.executor = null;
                server.routes.put("/baseline11", exchange -> {
                    pause(20);
                    baseline.handle(exchange);
                });
            }
            // Each request is worth some CPU time (healthy).
            case "work" -> server.routes.put("/baseline11", exchange -> {
                digest();
                baseline.handle(exchange);
            });
            // Twice the work, with a monitor held that all requests share: next to it what the
            // server itself does for a request, which goes on beside the lock, is little.
            case "global_lock" -> server.routes.put("/baseline11", exchange -> {
                synchronized (LOCK) {
                    for (int i = 0; i < 2; i++) {
                        digest();
                    }
                }
                baseline.handle(exchange);
            });
            // Much garbage of each request beside a heap that is nearly full of what lives.
            case "gc_pressure" -> {
                byte[][] kept = new byte[40_000][];
                for (int i = 0; i < kept.length; i++) {
                    kept[i] = new byte[1024];
                }
                server.routes.put("/baseline11", exchange -> {
                    for (int i = 0; i < 50; i++) {
                        kept[ThreadLocalRandom.current().nextInt(kept.length)] = new byte[1024];
                    }
                    baseline.handle(exchange);
                });
            }
            // Uploads are kept in memory until they are answered.
            case "read_all" -> server.routes.put("/upload", exchange -> {
                byte[] body = exchange.getRequestBody().readAllBytes();
                Contract.answer(exchange, Integer.toString(body.length));
            });
            case "backlog" -> server.backlog = 8;
            default -> throw new IllegalArgumentException("no fault " + name);
        }
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Honest work: some 300 us of CPU time. */
    private static long digest() {
        CRC32 sum = new CRC32();
        sum.update(BLOCK);
        return sum.getValue();
    }
}
