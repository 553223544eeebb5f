// QuPath: the objects of the open image as detections, by Automate > Script editor > Run.
//
// The whole image is sent; where a rectangle or another annotation is selected, what lies in its bounds.
import java.awt.geom.AffineTransform
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.file.Files
import java.time.Duration
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjectTools
import qupath.lib.regions.RegionRequest

def service = "http://127.0.0.1:8000"
double downsample = 1

def server = getCurrentServer()
def selected = getSelectedROI()
def region = selected == null ?
    RegionRequest.createInstance(server, downsample) :
    RegionRequest.createInstance(server.getPath(), downsample, selected)

def image = Files.createTempFile("monolayer", ".png")
writeImageRegion(server, region, image.toString())
def query = "format=geojson"
double pixelSizeUm = server.getPixelCalibration().getAveragedPixelSizeMicrons() * downsample
if (!Double.isNaN(pixelSizeUm))
    query += "&pixel_size_um=" + pixelSizeUm

def request = HttpRequest.newBuilder(URI.create(service + "/v1/segment?" + query))
    .header("Content-Type", "image/png")
    .timeout(Duration.ofMinutes(15))
    .POST(HttpRequest.BodyPublishers.ofFile(image))
    .build()
def response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofByteArray())
Files.delete(image)
if (response.statusCode() != 200)
    throw new IOException("Monolayer: " + response.statusCode() + " " + new String(response.body(), "UTF-8"))

def toImage = new AffineTransform(downsample, 0, 0, downsample, region.getX(), region.getY())
def objects = PathIO.readObjectsFromGeoJSON(new ByteArrayInputStream(response.body()))
    .collect { PathObjectTools.transformObject(it, toImage, true) }
addObjects(objects)
fireHierarchyUpdate()
println objects.size() + " objects"
