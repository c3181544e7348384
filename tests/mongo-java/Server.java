// A server of MongoDB's protocol on 127.0.0.1, with its port as the argument. It keeps all data in memory.
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;
import java.util.List;

public class Server {
    public static void main(String[] arguments) throws Exception {
        // Current drivers require a later version than the library's latest. The tests need no feature of that version.
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
