import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.DeploymentOptions;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Submits a job to a cluster of Flink's, by the settings in a directory, and says its id: numbers that go nowhere. */
public class Numbers {
    public static void main(String[] args) {
        Configuration settings = GlobalConfiguration.loadConfiguration(args[0]);
        settings.set(DeploymentOptions.TARGET, "remote");
        TableEnvironment tables =
            TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
        tables.executeSql("CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20')");
        tables.executeSql("CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole')");
        System.out.println("job " + tables.executeSql("INSERT INTO nowhere SELECT n FROM numbers").getJobClient().get().getJobID());
        System.exit(0);
    }
}
