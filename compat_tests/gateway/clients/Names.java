import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import javax.security.auth.x500.X500Principal;

/** Each line of input: N and a name in DER, or V and a text, both in base64. Out: what Java makes of it. */
public class Names {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            byte[] given = Base64.getDecoder().decode(line.substring(2));
            String told;
            try {
                if (line.charAt(0) == 'N') {
                    String name = new X500Principal(given).getName();
                    told = Base64.getEncoder().encodeToString(name.getBytes(StandardCharsets.UTF_8));
                } else {
                    new X500Principal(new String(given, StandardCharsets.UTF_8));
                    told = "valid";
                }
            } catch (IllegalArgumentException e) {
                told = "invalid";
            }
            System.out.println(told);
        }
    }
}
