// ImageJ and Fiji: the objects of the open image as ROIs in the ROI Manager, and the count in the Log.
//
// The image is posted with curl, which Windows 10, macOS and Linux bring along. Plugins > Macros > Run...
// The address of the service may be given as the macro's argument; a stack is sent by its current slice.

service = getArgument();
if (service == "") service = "http://127.0.0.1:8000";

title = getTitle();
getPixelSize(unit, pixelWidth, pixelHeight);
query = "format=rois";
if (unit == "micron" || unit == "microns" || unit == "um" || unit == fromCharCode(181) + "m")
    query = query + "&pixel_size_um=" + pixelWidth;

folder = getDirectory("temp");
image = folder + "monolayer_image.tif";
rois = folder + "monolayer_rois.zip";
wasBatch = is("Batch Mode");
if (!wasBatch) setBatchMode(true);
run("Duplicate...", "title=monolayer_image");
saveAs("Tiff", image);
close();
if (!wasBatch) setBatchMode(false);

status = exec("curl", "-sS", "--max-time", "900", "--retry", "5", "-H", "Content-Type: image/tiff",
    "--data-binary", "@" + image, "-o", rois, "-w", "%{http_code}", service + "/v1/segment?" + query);
status = replace(status, "\n", "");
if (status != "200")
    exit("Monolayer: " + status + "\n" + File.openAsString(rois));

roiManager("reset");
roiManager("Open", rois);
print(title + ": " + roiManager("count") + " objects");
