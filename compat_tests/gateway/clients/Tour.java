import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** Curator's recipes: Tour HOST:PORT. What it is told goes to the output, without what differs each time. */
public class Tour {
    private static CuratorFramework connected(String hosts) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(hosts).namespace("curator")
            .sessionTimeoutMs(10000).retryPolicy(new RetryOneTime(500)).build();
        client.start();
        client.blockUntilConnected(20, TimeUnit.SECONDS);
        return client;
    }

    private static void say(String what, Object value) {
        System.out.println(what + ": " + value);
    }

    private static void locks(CuratorFramework one, CuratorFramework two) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/mutex");
        InterProcessMutex theirs = new InterProcessMutex(two, "/mutex");
        mine.acquire();
        say("mutex while it is held", theirs.acquire(300, TimeUnit.MILLISECONDS));
        mine.release();
        say("mutex when it is free", theirs.acquire(20, TimeUnit.SECONDS));
        say("participants", theirs.getParticipantNodes().size());
        theirs.release();
        InterProcessReadWriteLock reading = new InterProcessReadWriteLock(one, "/rw");
        InterProcessReadWriteLock writing = new InterProcessReadWriteLock(two, "/rw");
        reading.readLock().acquire();
        say("a second reader", writing.readLock().acquire(20, TimeUnit.SECONDS));
        writing.readLock().release();
        say("a writer beside a reader", writing.writeLock().acquire(300, TimeUnit.MILLISECONDS));
        reading.readLock().release();
        InterProcessSemaphoreV2 leases = new InterProcessSemaphoreV2(one, "/leases", 1);
        leases.acquire();
        say("a lease too many", new InterProcessSemaphoreV2(two, "/leases", 1).acquire(300, TimeUnit.MILLISECONDS));
    }

    private static void leaders(CuratorFramework one, CuratorFramework two) throws Exception {
        LeaderLatch first = new LeaderLatch(one, "/latch", "first");
        first.start();
        first.await(20, TimeUnit.SECONDS);
        LeaderLatch second = new LeaderLatch(two, "/latch", "second");
        second.start();
        while (second.getParticipants().size() < 2) {
            Thread.sleep(10);
        }
        say("leader", second.getLeader().getId() + " " + second.hasLeadership());
        first.close();
        say("the next one", second.await(20, TimeUnit.SECONDS));
        second.close();
    }

    private static void caches(CuratorFramework one, CuratorFramework two) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        CuratorCache cache = CuratorCache.build(one, "/cache");
        cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(() -> seen.add("initialized")).build());
        cache.listenable().addListener((type, old, data) -> seen.add(type + " " + (data == null ? old : data).getPath()));
        cache.start();
        List<String> told = new ArrayList<>();
        told.add(seen.poll(20, TimeUnit.SECONDS));
        two.create().creatingParentsIfNeeded().forPath("/cache/a/b", "1".getBytes());
        for (int i = 0; i < 3; i++) {
            told.add(seen.poll(20, TimeUnit.SECONDS));
        }
        two.setData().forPath("/cache/a/b", "2".getBytes());
        told.add(seen.poll(20, TimeUnit.SECONDS));
        two.delete().forPath("/cache/a/b");
        told.add(seen.poll(20, TimeUnit.SECONDS));
        say("cache", told);
        cache.close();
    }

    private static void others(CuratorFramework one, CuratorFramework two) throws Exception {
        DistributedAtomicLong counter = new DistributedAtomicLong(one, "/counter", new RetryOneTime(1));
        counter.increment();
        say("counter", new DistributedAtomicLong(two, "/counter", new RetryOneTime(1)).add(4L).postValue());
        SimpleDistributedQueue queue = new SimpleDistributedQueue(one, "/queue");
        queue.offer("a".getBytes());
        queue.offer("b".getBytes());
        say("queue", new String(queue.take()) + new String(queue.poll(20, TimeUnit.SECONDS)));
        PersistentNode node = new PersistentNode(one, CreateMode.EPHEMERAL, false, "/here", "x".getBytes());
        node.start();
        say("node", node.waitForInitialCreate(20, TimeUnit.SECONDS) + " " + two.checkExists().forPath("/here").getDataLength());
        node.close();
        say("transaction", two.transaction().forOperations(
            two.transactionOp().create().forPath("/both", "1".getBytes()),
            two.transactionOp().check().withVersion(0).forPath("/both"),
            two.transactionOp().setData().forPath("/both", "2".getBytes())).size());
        List<String> names = new ArrayList<>();
        for (String name : two.getChildren().forPath("/")) {
            Stat stat = two.checkExists().forPath("/" + name);
            if (stat != null && stat.getEphemeralOwner() != Long.MIN_VALUE)  // an empty container goes at any time
                names.add(name);
        }
        Collections.sort(names);
        say("names", names);
    }

    public static void main(String[] args) throws Exception {
        try (CuratorFramework one = connected(args[0]); CuratorFramework two = connected(args[0])) {
            locks(one, two);
            leaders(one, two);
            caches(one, two);
            others(one, two);
            two.delete().deletingChildrenIfNeeded().forPath("/");
        }
        System.exit(0);
    }
}
