// ImageJ and Fiji: the objects of the open image as ROIs in the ROI Manager, and the count in the Log.
//
// Where an area is selected its bounds are sent, else the whole image; a stack is sent by its current slice. ROIs that
// are in the Manager stay, and so does the selection. The pixel size goes along in the file.
//
// The image is posted with curl, which Windows 10, macOS and Linux bring along. Plugins > Macros > Run...
// The address of the service may be given as the macro's argument.

service = getArgument();
if (service == "") service = "http://127.0.0.1:8000";

source = getImageID();
title = getTitle();
file = getDirectory("temp") + "monolayer_" + d2s(getTime(), 0);
image = file + ".tif";
rois = file + ".zip";
before = roiManager("count");

// Lines and points select no area. What is selected beyond the edge of the image is not there to be sent.
x = 0; y = 0;
selected = selectionType();
isArea = (selected >= 0 && selected <= 4) || selected == 9;
if (isArea) {
    getSelectionBounds(x, y, width, height);
    x = maxOf(0, floor(x)); y = maxOf(0, floor(y));
}

// Until the end a copy is the current image, hidden: what the ROI Manager does to selections is done to its own.
wasBatch = is("Batch Mode");
if (!wasBatch) setBatchMode(true);
if (selected >= 0 && !isArea) run("Select None");
run("Duplicate...", "title=monolayer_image");
copy = getImageID();
if (selected >= 0 && !isArea) {
    selectImage(source);
    run("Restore Selection");
    selectImage(copy);
}
saveAs("Tiff", image);

status = exec("curl", "-sS", "--max-time", "900", "--retry", "5", "-H", "Content-Type: image/tiff",
    "--data-binary", "@" + image, "-o", rois, "-w", "%{http_code}", service + "/v1/segment?format=rois");
status = replace(status, "\n", "");
reason = "";
if (status != "200") {
    reason = "no answer from " + service + ": is that its address, and is it running?";
    if (File.exists(rois)) reason = status + "\n" + File.openAsString(rois);
} else if (parseInt("" + File.length(rois)) > 22) { // one of nothing, which the ROI Manager cannot open, has 22 bytes
    roiManager("Open", rois);
    roiManager("select", Array.slice(Array.getSequence(roiManager("count")), before));
    roiManager("translate", x, y);
    roiManager("deselect");
}
close();
selectImage(source);
if (!wasBatch) setBatchMode(false);
deleted = File.delete(image);
if (File.exists(rois)) deleted = File.delete(rois);
if (reason != "") exit("Monolayer: " + reason);
print(title + ": " + roiManager("count") - before + " objects");
