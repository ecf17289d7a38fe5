import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Files;
import java.nio.file.Path;

/** HiveMQ CE in a process of its own: FOLDER PORT. Says `ready` once it listens; sessions and messages are in the folder. */
public class HiveMq {
  public static void main(String[] arguments) throws Exception {
    var folder = Path.of(arguments[0]);
    for (var part : new String[] {"conf", "data", "extensions"}) {
      Files.createDirectories(folder.resolve(part));
    }
    var config =
        """
        <?xml version="1.0"?>
        <hivemq>
          <listeners>
            <tcp-listener><port>%s</port><bind-address>127.0.0.1</bind-address></tcp-listener>
          </listeners>
          <persistence><mode>file</mode></persistence>
          <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
        </hivemq>
        """;
    Files.writeString(folder.resolve("conf/config.xml"), config.formatted(arguments[1]));
    // Nobody has installed an extension that says who may come.
    System.setProperty("HIVEMQ_ALLOW_ALL_CLIENTS", "true");
    var broker =
        EmbeddedHiveMQ.builder()
            .withConfigurationFolder(folder.resolve("conf"))
            .withDataFolder(folder.resolve("data"))
            .withExtensionsFolder(folder.resolve("extensions"))
            .build();
    broker.start().get();
    System.out.println("ready");
    Runtime.getRuntime().addShutdownHook(new Thread(() -> broker.stop().join()));
    Thread.currentThread().join();
  }
}
