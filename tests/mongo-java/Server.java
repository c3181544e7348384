// A server of MongoDB's protocol on 127.0.0.1 and the port that is given. It keeps everything in memory until it stops.
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;
import java.util.List;

public class Server {
    public static void main(String[] arguments) throws Exception {
        // Its own versions end before the oldest that today's drivers speak to, which asks nothing more of it here.
        MongoVersion version = new MongoVersion() {
            public List<Integer> getVersionArray() {
                return List.of(4, 4, 0);
            }

            public int getWireVersion() {
                return 9;
            }
        };
        MongoServer server = new MongoServer(new MemoryBackend().version(version));
        server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        Thread.currentThread().join();
    }
}
