// QuPath: the objects of the open image as detections, by Automate > Script editor > Run.
//
// The plane that is shown is sent; where a rectangle or another annotation is selected, what lies in its bounds, in its
// plane. Run again, it replaces the detections that it made there before.
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
def channel = null // of an image that is no RGB and has several: their number, from 0, or their name in quotes
double downsample = 1
double maxMegapixels = 100 // more is not sent unasked: select a part, or raise this or downsample

def server = getCurrentServer()
def selected = getSelectedROI()
def viewer = getCurrentViewer() // none where the script runs without a window
def region = selected == null ?
    RegionRequest.createInstance(server.getPath(), downsample, 0, 0, server.getWidth(), server.getHeight(),
        viewer == null ? 0 : viewer.getZPosition(), viewer == null ? 0 : viewer.getTPosition()) :
    RegionRequest.createInstance(server.getPath(), downsample, selected)
double megapixels = region.getWidth() / downsample * (region.getHeight() / downsample) / 1e6
if (megapixels > maxMegapixels)
    throw new IllegalArgumentException("Monolayer: " + megapixels + " megapixels are more than maxMegapixels, " +
        maxMegapixels + ": select a part, or raise maxMegapixels or downsample")

// A colour image goes as PNG; OME-TIFF holds channels and 16 bits, and would hold colours with losses.
def kind = server.isRGB() ? [suffix: ".png", mediaType: "image/png"] : [suffix: ".ome.tif", mediaType: "image/tiff"]
def query = "format=geojson"
if (channel != null)
    query += "&channel=" + URLEncoder.encode(channel.toString(), "UTF-8")
double pixelSizeUm = server.getPixelCalibration().getAveragedPixelSizeMicrons() * downsample
if (!Double.isNaN(pixelSizeUm))
    query += "&pixel_size_um=" + pixelSizeUm

def image = Files.createTempFile("monolayer", kind.suffix)
def response
try {
    writeImageRegion(server, region, image.toString())
    def request = HttpRequest.newBuilder(URI.create(service + "/v1/segment?" + query))
        .header("Content-Type", kind.mediaType)
        .timeout(Duration.ofMinutes(15))
        .POST(HttpRequest.BodyPublishers.ofFile(image))
        .build()
    response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofByteArray())
} finally {
    Files.delete(image)
}
if (response.statusCode() != 200)
    throw new IOException("Monolayer: " + response.statusCode() + " " + new String(response.body(), "UTF-8"))

// A measurement of this name marks what the script makes.
def mark = "Monolayer"
def plane = region.getImagePlane()
def toImage = new AffineTransform(downsample, 0, 0, downsample, region.getX(), region.getY())
def objects = PathIO.readObjectsFromGeoJSON(new ByteArrayInputStream(response.body()))
    .collect { PathObjectTools.transformObject(it, toImage, true) }
objects.each {
    it.setROI(it.getROI().updatePlane(plane))
    it.getMeasurementList().put(mark, 1)
}
def older = getDetectionObjects().findAll {
    def roi = it.getROI()
    !Double.isNaN(measurement(it, mark)) &&
        region.contains((int) roi.getCentroidX(), (int) roi.getCentroidY(), roi.getZ(), roi.getT())
}
removeObjects(older, true)
addObjects(objects)
fireHierarchyUpdate()
println objects.size() + " objects" + (older ? " in place of " + older.size() : "")
