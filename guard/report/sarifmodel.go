package report

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// The objects of SARIF 2.1.0, as far as they are used. The sections are the specification's.

// sourceRoot is what relative paths are relative to.
const sourceRoot = "%SRCROOT%"

// sarifTool is section 3.18.
type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

// sarifDriver is section 3.19.
type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

// sarifRule is a reportingDescriptor, section 3.49.
type sarifRule struct {
	ID            string              `json:"id"`
	Name          string              `json:"name"`
	Short         sarifMessage        `json:"shortDescription"`
	Full          sarifMessage        `json:"fullDescription"`
	Help          sarifHelp           `json:"help"`
	HelpURI       string              `json:"helpUri"`
	Configuration sarifConfiguration  `json:"defaultConfiguration"`
	Properties    sarifRuleProperties `json:"properties"`
}

// sarifRuleProperties are those that GitHub's code scanning knows.
type sarifRuleProperties struct {
	Tags             []string `json:"tags"`
	Precision        string   `json:"precision"`
	SecuritySeverity string   `json:"security-severity"`
}

// sarifConfiguration is section 3.50.
type sarifConfiguration struct {
	Level string `json:"level"`
}

// sarifMessage is section 3.11.
type sarifMessage struct {
	Text string `json:"text"`
}

// sarifHelp is section 3.12.
type sarifHelp struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

// sarifResult is section 3.27.
type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    *int               `json:"ruleIndex,omitempty"`
	Level        string             `json:"level"`
	Message      sarifMessage       `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Fixes        []sarifFix         `json:"fixes,omitempty"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

// sarifLocation is section 3.28.
type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

// sarifPhysical is section 3.29.
type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

// sarifArtifact is an artifactLocation, section 3.4.
type sarifArtifact struct {
	URI         string        `json:"uri,omitempty"`
	Base        string        `json:"uriBaseId,omitempty"`
	Description *sarifMessage `json:"description,omitempty"`
}

// sarifRegion is section 3.30. The end is exclusive; without an endColumn it is that of the line.
type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
	EndLine     int `json:"endLine,omitempty"`
	EndColumn   int `json:"endColumn,omitempty"`
}

// sarifLogical is section 3.33.
type sarifLogical struct {
	Name string `json:"name"`
	Full string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// sarifFix is section 3.55.
type sarifFix struct {
	Description sarifMessage  `json:"description"`
	Changes     []sarifChange `json:"artifactChanges"`
}

// sarifChange is section 3.56.
type sarifChange struct {
	Artifact     sarifArtifact      `json:"artifactLocation"`
	Replacements []sarifReplacement `json:"replacements"`
}

// sarifReplacement is section 3.57.
type sarifReplacement struct {
	Deleted  sarifRegion  `json:"deletedRegion"`
	Inserted sarifContent `json:"insertedContent"`
}

// sarifContent is section 3.3.
type sarifContent struct {
	Text string `json:"text"`
}

// sarifSuppression is section 3.35.
type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

// sarifInvocation is section 3.20.
type sarifInvocation struct {
	ExecutionSuccessful bool              `json:"executionSuccessful"`
	Notifications       []json.RawMessage `json:"toolExecutionNotifications,omitempty"`
}

// sarifNotification is section 3.58.
type sarifNotification struct {
	Descriptor sarifReference  `json:"descriptor"`
	Level      string          `json:"level"`
	Message    sarifMessage    `json:"message"`
	Locations  []sarifLocation `json:"locations"`
}

// sarifReference is section 3.52.
type sarifReference struct {
	ID string `json:"id"`
}

func regionSARIF(r region) *sarifRegion {
	return &sarifRegion{r.startLine, r.startColumn, r.endLine, r.endColumn}
}

// artifact is where a document is. An image and standard input have no file: theirs is made up, as code scanning
// shows nothing without one.
func artifact(doc *guard.Document, path string) sarifArtifact {
	switch {
	case path == "-":
		return relative("stdin")
	case path == doc.Path && !isFile(doc):
		return relative("image/" + strings.ReplaceAll(path, "://", "/"))
	case filepath.IsAbs(path):
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()}
	}
	return relative(filepath.ToSlash(filepath.Clean(path)))
}

func relative(path string) sarifArtifact {
	return sarifArtifact{URI: (&url.URL{Path: path}).String(), Base: sourceRoot}
}
