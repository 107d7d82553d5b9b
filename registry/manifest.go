package registry

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of Docker's distribution format, which OCI's grew out of.
const (
	dockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerSchema1   = "application/vnd.docker.distribution.manifest.v1+json"
	dockerSchema1s  = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	dockerConfig    = "application/vnd.docker.container.image.v1+json"
	dockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	dockerForeign   = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	nondistributive = "application/vnd.oci.image.layer.nondistributable.v1.tar"
)

// acceptManifests is what a registry may answer. Schema 1 is last: it is asked for only to be refused with a reason.
const acceptManifests = v1.MediaTypeImageIndex + ", " + v1.MediaTypeImageManifest + ", " + dockerIndex + ", " +
	dockerManifest + ", " + dockerSchema1s + ";q=0.1"

// maxManifestBytes bounds a manifest, an index and a config.
const maxManifestBytes = 8 << 20

// document is a manifest or an index, whichever it turns out to be.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Config        v1.Descriptor   `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	FSLayers      json.RawMessage `json:"fsLayers"` // schema 1
}

// parseDocument reads raw and checks that it is what contentType says, and only one thing: a document that is
// a manifest to one reader and an index to another is an attack (CVE-2021-41190).
func parseDocument(raw []byte, contentType string) (*document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	contentType, _, _ = strings.Cut(contentType, ";")
	contentType = strings.TrimSpace(contentType)
	if d.isSchema1(contentType) {
		d.MediaType = dockerSchema1
		return &d, nil
	}
	if err := d.settleType(contentType); err != nil {
		return nil, err
	}
	return &d, nil
}

func (d *document) isSchema1(contentType string) bool {
	return contentType == dockerSchema1 || contentType == dockerSchema1s || d.SchemaVersion == 1 || d.FSLayers != nil
}

// settleType makes the media type certain, from the document, the registry's word and the content.
func (d *document) settleType(contentType string) error {
	if d.MediaType == "" {
		d.MediaType = contentType
	}
	if isManifestType(contentType) && d.MediaType != contentType {
		return fmt.Errorf("parse manifest: it says it is %q, the registry says %q", d.MediaType, contentType)
	}
	if len(d.Manifests) > 0 && (len(d.Layers) > 0 || d.Config.Digest != "") {
		return fmt.Errorf("parse manifest: it is an index and an image at once")
	}
	if !isManifestType(d.MediaType) {
		d.MediaType = v1.MediaTypeImageManifest
		if len(d.Manifests) > 0 {
			d.MediaType = v1.MediaTypeImageIndex
		}
	}
	if d.isIndex() == (d.Config.Digest != "") {
		return fmt.Errorf("parse manifest: its content does not fit its type %s", d.MediaType)
	}
	return nil
}

func isManifestType(t string) bool {
	return slices.Contains([]string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, dockerIndex, dockerManifest}, t)
}

func (d *document) isIndex() bool {
	return d.MediaType == v1.MediaTypeImageIndex || d.MediaType == dockerIndex
}

// check reports why the image of a manifest cannot be kept: the text and, where there is one, a hint.
func (d *document) check() (text, hint string) {
	if text, hint = d.checkConfig(); text != "" {
		return text, hint
	}
	for _, l := range d.Layers {
		if text, hint = checkBlob(l); text != "" {
			return text, hint
		}
		if text, hint = checkLayer(l); text != "" {
			return text, hint
		}
	}
	return "", ""
}

// checkConfig reports why the manifest is no image's.
func (d *document) checkConfig() (text, hint string) {
	switch d.Config.MediaType {
	case v1.MediaTypeImageConfig, dockerConfig:
		return checkBlob(d.Config)
	}
	return "it is no container image but an artifact of type " + d.Config.MediaType, ""
}

// checkBlob reports why a descriptor cannot be followed.
func checkBlob(d v1.Descriptor) (text, hint string) {
	if err := validate(d.Digest); err != nil {
		return fmt.Sprintf("its manifest has a bad digest %q: %v", d.Digest, err), ""
	}
	if d.Size < 0 {
		return fmt.Sprintf("its manifest gives %s a size of %d", d.Digest, d.Size), ""
	}
	return "", ""
}

// checkLayer reports why a layer cannot be unpacked.
func checkLayer(l v1.Descriptor) (text, hint string) {
	if isForeign(l) {
		return fmt.Sprintf("layer %s is a foreign layer (%s), kept outside the registry", l.Digest, l.MediaType),
			"such layers are part of Windows images, which do not run on Linux"
	}
	if !knownLayer(l.MediaType) {
		return fmt.Sprintf("layer %s has the unknown media type %q", l.Digest, l.MediaType), ""
	}
	return "", ""
}

func isForeign(l v1.Descriptor) bool {
	return len(l.URLs) > 0 || strings.HasPrefix(l.MediaType, dockerForeign) || strings.HasPrefix(l.MediaType, nondistributive)
}

// knownLayer reports whether t is a tar, plain, gzip or zstd.
func knownLayer(t string) bool {
	for _, base := range []string{v1.MediaTypeImageLayer, dockerLayer} {
		rest, ok := strings.CutPrefix(t, base)
		if ok && slices.Contains([]string{"", "+gzip", "+zstd", ".gzip", ".zstd"}, rest) {
			return true
		}
	}
	return false
}
