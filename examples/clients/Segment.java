import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Posts one image and prints what was found. Needs Java 11 or newer and nothing else:
 *
 * <pre>java Segment.java image.png [http://127.0.0.1:8000] [answer.json]</pre>
 *
 * The answer as a whole goes into the file named last, if there is one.
 */
public class Segment {
    private static final Map<String, String> MEDIA_TYPES = Map.of(
            "png", "image/png", "jpg", "image/jpeg", "jpeg", "image/jpeg", "bmp", "image/bmp",
            "tif", "image/tiff", "tiff", "image/tiff", "npy", "application/x-npy");
    private static final int ATTEMPTS = 5;

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length < 1 || arguments.length > 3) {
            System.err.println("usage: java Segment.java image.png [http://127.0.0.1:8000] [answer.json]");
            System.exit(2);
        }
        Path image = Path.of(arguments[0]);
        String service = arguments.length > 1 ? arguments[1] : "http://127.0.0.1:8000";
        HttpResponse<String> response = post(image, service);
        if (response.statusCode() != 200) {
            System.err.println(response.statusCode() + ": " + field(response.body(), "message"));
            System.exit(1);
        }
        String answer = response.body();
        System.out.printf(
                Locale.ROOT, "%s: %s objects, confluency %.2f %%, by %s%n",
                field(answer, "image_id"), field(answer, "count"),
                Double.parseDouble(field(answer, "percent")), field(answer, "method"));
        if (arguments.length > 2) {
            Files.writeString(Path.of(arguments[2]), answer);
        }
    }

    /** Posts the file as it is; while the service is full or starting (429, 503) it asks again when it is told to. */
    private static HttpResponse<String> post(Path image, String service) throws IOException, InterruptedException {
        String name = image.getFileName().toString();
        int dot = name.lastIndexOf('.');
        String suffix = name.substring(dot + 1).toLowerCase(Locale.ROOT);
        String imageId = URLEncoder.encode(dot > 0 ? name.substring(0, dot) : name, StandardCharsets.UTF_8);
        HttpRequest request = HttpRequest.newBuilder(URI.create(service + "/v1/segment?image_id=" + imageId))
                .header("Content-Type", MEDIA_TYPES.getOrDefault(suffix, "image/png"))
                .timeout(Duration.ofMinutes(15))
                .POST(HttpRequest.BodyPublishers.ofFile(image))
                .build();
        HttpClient client = HttpClient.newHttpClient();
        for (int attempt = 1; ; attempt++) {
            HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
            boolean mustWait = response.statusCode() == 429 || response.statusCode() == 503;
            if (!mustWait || attempt == ATTEMPTS) {
                return response;
            }
            Thread.sleep(1000L * Integer.parseInt(response.headers().firstValue("Retry-After").orElse("1")));
        }
    }

    /** Reads the first value of this name; for the whole answer take a JSON library. */
    private static String field(String json, String name) {
        Matcher value = Pattern.compile("\"" + name + "\":\\s*(?:\"((?:[^\"\\\\]|\\\\.)*)\"|([^,}\\]]+))").matcher(json);
        if (!value.find()) {
            return "?";
        }
        return value.group(1) != null ? value.group(1) : value.group(2);
    }
}
