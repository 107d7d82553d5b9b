package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/opencontainers/go-digest"
)

// sha256Prefix is how nearly all digests begin.
const sha256Prefix = string(digest.SHA256) + ":"

// sumOf is the canonical digest of a document.
func sumOf(raw []byte) digest.Digest {
	sum := sha256.Sum256(raw)
	return digest.Digest(sha256Prefix + hex.EncodeToString(sum[:]))
}

// digestLike is the digest of a document by the algorithm of another, which is valid.
func digestLike(want digest.Digest, raw []byte) digest.Digest {
	if want.Algorithm() == digest.SHA256 {
		return sumOf(raw)
	}
	return want.Algorithm().FromBytes(raw)
}

// validate is Digest.Validate, which matches two regular expressions, for a check that looks at many images.
func validate(d digest.Digest) error {
	if encoded, ok := strings.CutPrefix(string(d), sha256Prefix); ok && len(encoded) == hex.EncodedLen(sha256.Size) && isLowerHex(encoded) {
		return nil
	}
	return d.Validate()
}

func isLowerHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
