import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/**
 * ZooKeeper's Java client, which creates nodes until its input ends: Writer HOSTS TIMEOUT_MS PATH.
 *
 * <p>It says the name of each that was answered, and "lost" when its session is; last, whether its ephemeral is there.
 */
public class Writer {
    public static void main(String[] args) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(args[0], Integer.parseInt(args[1]), event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            } else if (event.getState() == KeeperState.Expired) {
                System.out.println("lost");
            }
        });
        connected.await();
        String owned = client.create(args[2] + "/here", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        for (int i = 0; System.in.available() == 0; i++) {
            try {
                System.out.println(client.create(args[2] + "/" + i, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            } catch (KeeperException.ConnectionLossException unknown) {
                Thread.sleep(20);
            }
        }
        while (true) {
            try {
                System.out.println(client.exists(owned, false) == null ? "lost" : "kept");
                break;
            } catch (KeeperException.ConnectionLossException again) {
                Thread.sleep(20);
            }
        }
        client.close();
    }
}
