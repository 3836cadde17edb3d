/* A tour of ZooKeeper's C client: tour HOST:PORT. What it is told goes to the output, without what differs each time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static int state, events, authenticated = -1000;
static char last[256];

static void watch(zhandle_t *zh, int type, int now, const char *path, void *context) {
    pthread_mutex_lock(&lock);
    if (type == ZOO_SESSION_EVENT) {
        *(context ? (int *)context : &state) = now;
    } else {
        snprintf(last, sizeof last, "event %d %s", type, path);
        events++;
    }
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&lock);
}

static void proved(int rc, const void *data) {
    pthread_mutex_lock(&lock);
    authenticated = rc;
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&lock);
}

static void until(int *what, int value) {
    pthread_mutex_lock(&lock);
    while (*what != value) pthread_cond_wait(&told, &lock);
    pthread_mutex_unlock(&lock);
}

static zhandle_t *start(const char *hosts, clientid_t *id, int *where, int wanted) {
    zhandle_t *zh = zookeeper_init(hosts, watch, 10000, id, where == &state ? NULL : where, 0);
    until(where, wanted);
    return zh;
}

static void say(const char *what, int rc) { printf("%s: %s\n", what, zerror(rc)); }

static void reads(zhandle_t *zh) {
    char data[64];
    int length = sizeof data;
    struct Stat stat;
    struct String_vector names;
    say("get", zoo_get(zh, "/c", 1, data, &length, &stat));
    printf("%.*s, version %d, %d children\n", length, data, stat.version, stat.numChildren);
    say("set", zoo_set2(zh, "/c", "two", 3, 0, &stat));
    until(&events, 1);
    printf("%s, version %d\n", last, stat.version);
    say("set with a wrong version", zoo_set(zh, "/c", "three", 5, 0));
    say("children", zoo_get_children2(zh, "/c", 1, &names, &stat));
    for (int i = 0; i < names.count; i++) printf("    %.2s\n", names.data[i]);
    deallocate_String_vector(&names);
    length = sizeof data;
    say("get of none", zoo_get(zh, "/c/none", 0, data, &length, &stat));
    say("exists of none", zoo_exists(zh, "/c/none", 1, &stat));
}

static void writes(zhandle_t *zh) {
    char made[64];
    zoo_op_t ops[3];
    zoo_op_result_t results[3];
    zoo_create_op_init(&ops[0], "/c/none", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_set_op_init(&ops[1], "/c", "three", 5, 1, NULL);
    zoo_check_op_init(&ops[2], "/c", 7);
    say("multi that fails", zoo_multi(zh, 3, ops, results));
    printf("%d %d %d\n", results[0].err, results[1].err, results[2].err);
    zoo_check_op_init(&ops[2], "/c", 2);
    say("multi", zoo_multi(zh, 3, ops, results));
    until(&events, 3);
    printf("%s\n", last);
    say("container", zoo_create(zh, "/c/box", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, made, sizeof made));
    say("ttl", zoo_create_ttl(zh, "/c/ttl", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 1000000, made, sizeof made));
    say("not empty", zoo_delete(zh, "/c", -1));
}

static void access_of(zhandle_t *zh) {
    struct ACL_vector acl;
    struct Stat stat;
    char data[8];
    int length = sizeof data;
    say("acl", zoo_add_auth(zh, "digest", "u:p", 3, proved, NULL));
    until(&authenticated, ZOK);
    say("set acl", zoo_set_acl(zh, "/c/none", -1, &ZOO_CREATOR_ALL_ACL));
    say("get acl", zoo_get_acl(zh, "/c/none", &acl, &stat));
    printf("%d %s %s\n", acl.data[0].perms, acl.data[0].id.scheme, acl.data[0].id.id);
    deallocate_ACL_vector(&acl);
    say("as its owner", zoo_get(zh, "/c/none", 0, data, &length, &stat));
}

int main(int argc, char **argv) {
    int others = 0;
    char made[64], data[8];
    int length = sizeof data;
    struct Stat stat;
    clientid_t before;
    zoo_set_debug_level(0);
    zhandle_t *zh = start(argv[1], NULL, &state, ZOO_CONNECTED_STATE);
    say("create", zoo_create2(zh, "/c", "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made, &stat));
    printf("%s, %d bytes\n", made, stat.dataLength);
    say("again", zoo_create(zh, "/c", "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made));
    say("ephemeral", zoo_create(zh, "/c/e-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE, made, sizeof made));
    printf("%s\n", made);
    say("below it", zoo_create(zh, "/c/e-0000000000/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made));
    reads(zh);
    writes(zh);
    access_of(zh);
    before = *zoo_client_id(zh);
    say("close", zookeeper_close(zh));
    zh = start(argv[1], &before, &others, ZOO_EXPIRED_SESSION_STATE);
    printf("a session that is closed: expired\n");
    zookeeper_close(zh);
    zh = start(argv[1], NULL, &others, ZOO_CONNECTED_STATE);
    say("as another", zoo_get(zh, "/c/none", 0, data, &length, &stat));
    say("the ephemeral", zoo_exists(zh, "/c/e-0000000000", 0, &stat));
    for (const char **name = (const char *[]){"/c/none", "/c/box", "/c/ttl", "/c", NULL}; *name; name++)
        say("delete", zoo_delete(zh, *name, -1));
    return zookeeper_close(zh);
}
