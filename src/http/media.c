/* SPDX-License-Identifier: MIT */
#include "http/media.h"

#include <stdlib.h>
#include <strings.h>

#include "http/field.h"

enum { EXTENSION_MAX = 16 }; /* with its NUL */

/* In the order of their extensions. */
static const struct ls_media table[] = {
    {"7z", "application/x-7z-compressed", false},
    {"aac", "audio/aac", false},
    {"apk", "application/vnd.android.package-archive", false},
    {"apng", "image/apng", false},
    {"atom", "application/atom+xml", true},
    {"avi", "video/x-msvideo", false},
    {"avif", "image/avif", false},
    {"bin", "application/octet-stream", false},
    {"bmp", "image/bmp", true},
    {"br", "application/x-brotli", false},
    {"bz2", "application/x-bzip2", false},
    {"c", "text/plain; charset=utf-8", true},
    {"cjs", "text/javascript; charset=utf-8", true},
    {"css", "text/css; charset=utf-8", true},
    {"csv", "text/csv; charset=utf-8", true},
    {"deb", "application/vnd.debian.binary-package", false},
    {"doc", "application/msword", false},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false},
    {"eot", "application/vnd.ms-fontobject", true},
    {"epub", "application/epub+zip", false},
    {"flac", "audio/flac", false},
    {"geojson", "application/geo+json", true},
    {"gif", "image/gif", false},
    {"glb", "model/gltf-binary", true},
    {"gltf", "model/gltf+json", true},
    {"gpx", "application/gpx+xml", true},
    {"gz", "application/gzip", false},
    {"h", "text/plain; charset=utf-8", true},
    {"heic", "image/heic", false},
    {"htm", "text/html; charset=utf-8", true},
    {"html", "text/html; charset=utf-8", true},
    {"ico", "image/x-icon", true},
    {"ics", "text/calendar; charset=utf-8", true},
    {"iso", "application/x-iso9660-image", false},
    {"jar", "application/java-archive", false},
    {"jpeg", "image/jpeg", false},
    {"jpg", "image/jpeg", false},
    {"js", "text/javascript; charset=utf-8", true},
    {"json", "application/json", true},
    {"jsonl", "application/x-ndjson", true},
    {"jsonld", "application/ld+json", true},
    {"jxl", "image/jxl", false},
    {"kml", "application/vnd.google-earth.kml+xml", true},
    {"log", "text/plain; charset=utf-8", true},
    {"lua", "text/x-lua; charset=utf-8", true},
    {"m3u8", "application/vnd.apple.mpegurl", true},
    {"m4a", "audio/mp4", false},
    {"m4s", "video/iso.segment", false},
    {"m4v", "video/mp4", false},
    {"map", "application/json", true},
    {"markdown", "text/markdown; charset=utf-8", true},
    {"md", "text/markdown; charset=utf-8", true},
    {"mid", "audio/midi", true},
    {"midi", "audio/midi", true},
    {"mjs", "text/javascript; charset=utf-8", true},
    {"mkv", "video/matroska", false},
    {"mov", "video/quicktime", false},
    {"mp3", "audio/mpeg", false},
    {"mp4", "video/mp4", false},
    {"mpd", "application/dash+xml", true},
    {"mpeg", "video/mpeg", false},
    {"mpg", "video/mpeg", false},
    {"ndjson", "application/x-ndjson", true},
    {"obj", "model/obj", true},
    {"odp", "application/vnd.oasis.opendocument.presentation", false},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet", false},
    {"odt", "application/vnd.oasis.opendocument.text", false},
    {"oga", "audio/ogg", false},
    {"ogg", "audio/ogg", false},
    {"ogv", "video/ogg", false},
    {"opus", "audio/ogg", false},
    {"otf", "font/otf", true},
    {"pdf", "application/pdf", false},
    {"pem", "application/x-pem-file", true},
    {"png", "image/png", false},
    {"ppt", "application/vnd.ms-powerpoint", false},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", false},
    {"ps", "application/postscript", true},
    {"py", "text/plain; charset=utf-8", true},
    {"rar", "application/vnd.rar", false},
    {"rss", "application/rss+xml", true},
    {"rtf", "application/rtf", true},
    {"sh", "text/plain; charset=utf-8", true},
    {"sql", "application/sql", true},
    {"stl", "model/stl", true},
    {"svg", "image/svg+xml", true},
    {"swf", "application/x-shockwave-flash", false},
    {"tar", "application/x-tar", true},
    {"text", "text/plain; charset=utf-8", true},
    {"tgz", "application/gzip", false},
    {"tif", "image/tiff", false},
    {"tiff", "image/tiff", false},
    {"toml", "application/toml", true},
    {"ts", "video/mp2t", false},
    {"tsv", "text/tab-separated-values; charset=utf-8", true},
    {"ttf", "font/ttf", true},
    {"txt", "text/plain; charset=utf-8", true},
    {"vcf", "text/vcard; charset=utf-8", true},
    {"vtt", "text/vtt; charset=utf-8", true},
    {"wasm", "application/wasm", true},
    {"wav", "audio/wav", true},
    {"weba", "audio/webm", false},
    {"webm", "video/webm", false},
    {"webmanifest", "application/manifest+json", true},
    {"webp", "image/webp", false},
    {"woff", "font/woff", false},
    {"woff2", "font/woff2", false},
    {"wsdl", "application/wsdl+xml", true},
    {"xhtml", "application/xhtml+xml", true},
    {"xls", "application/vnd.ms-excel", false},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false},
    {"xml", "application/xml", true},
    {"xsd", "application/xml", true},
    {"xsl", "application/xml", true},
    {"xz", "application/x-xz", false},
    {"yaml", "application/yaml", true},
    {"yml", "application/yaml", true},
    {"zip", "application/zip", false},
    {"zst", "application/zstd", false},
};

static const struct ls_media unknown = {"", "application/octet-stream", false};

#define COUNT (sizeof table / sizeof *table)

/* The extension in lower case; empty where there is none that could be in the table. */
static void find_extension(struct ls_slice path, char extension[EXTENSION_MAX]) {
  size_t start = path.len;
  extension[0] = '\0';
  while (start > 0 && path.ptr[start - 1] != '.' && path.ptr[start - 1] != '/')
    start--;
  size_t len = path.len - start;
  if (start == 0 || path.ptr[start - 1] != '.' || len >= EXTENSION_MAX)
    return;
  for (size_t i = 0; i < len; i++) {
    char c = path.ptr[start + i];
    extension[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
  }
  extension[len] = '\0';
}

static int compare(const void *extension, const void *media) {
  return strcmp(extension, ((const struct ls_media *)media)->extension);
}

const struct ls_media *ls_media_of(struct ls_slice path) {
  char extension[EXTENSION_MAX];
  find_extension(path, extension);
  const struct ls_media *found = bsearch(extension, table, COUNT, sizeof *table, compare);
  return found != NULL ? found : &unknown;
}

/* ---- types ---- */

/* That no extension stands for. */
static const char *const more_compressible[] = {"application/javascript", "application/x-javascript",
                                                "application/graphql"};

static struct ls_slice without_parameters(struct ls_slice type) {
  const char *end = type.len == 0 ? NULL : memchr(type.ptr, ';', type.len);
  size_t len = end == NULL ? type.len : (size_t)(end - type.ptr);
  while (len != 0 && (type.ptr[len - 1] == ' ' || type.ptr[len - 1] == '\t'))
    len--;
  return ls_slice(type.ptr, len);
}

static bool is_named(const char *type, struct ls_slice name) {
  return strncasecmp(type, name.ptr, name.len) == 0 && (type[name.len] == '\0' || type[name.len] == ';');
}

static bool ends_in(struct ls_slice text, const char *end) {
  size_t len = strlen(end);
  return text.len > len && ls_field_name_equal(ls_slice(text.ptr + text.len - len, len), ls_slice(end, len));
}

bool ls_media_is_compressible(struct ls_slice type) {
  struct ls_slice name = without_parameters(type);
  if (name.len > 5 && ls_field_name_equal(ls_slice(name.ptr, 5), ls_slice("text/", 5)))
    return true;
  if (ends_in(name, "+json") || ends_in(name, "+xml") || ends_in(name, "+text"))
    return true;
  if (name.len == 0)
    return false;
  for (size_t i = 0; i < COUNT; i++)
    if (is_named(table[i].type, name))
      return table[i].compressible;
  for (size_t i = 0; i < sizeof more_compressible / sizeof *more_compressible; i++)
    if (is_named(more_compressible[i], name))
      return true;
  return false;
}

bool ls_media_is(struct ls_slice type, const char *name) {
  return ls_field_name_equal(without_parameters(type), ls_slice_of(name));
}

bool ls_media_is_json(struct ls_slice type) {
  return ls_media_is(type, "application/json") || ends_in(without_parameters(type), "+json");
}
