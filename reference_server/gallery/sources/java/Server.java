import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** An HTTP/1.1 server of the contract on the HTTP server of the JDK: Server PORT [FAULT]. */
public final class Server {
    /** More than any profile opens at once; the kernel caps it. */
    int backlog = 16_384;
    /** One thread for each request that is served at the same time, taken from a pool. */
    ExecutorService executor = Executors.newCachedThreadPool();
    final Map<String, HttpHandler> routes = new HashMap<>();

    private Server() {
        routes.put("/pipeline", Contract::pipeline);
        routes.put("/baseline11", Contract::baseline);
        routes.put("/upload", Contract::upload);
    }

    public static void main(String[] arguments) throws IOException {
        Server server = new Server();
        if (arguments.length > 1) {
            Faults.apply(arguments[1], server);
        }
        InetSocketAddress address =
                new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
        HttpServer http = HttpServer.create(address, server.backlog);
        server.routes.forEach(http::createContext);
        http.setExecutor(server.executor);
        http.start();
    }
}
