/* SPDX-License-Identifier: MIT */
/* media: types by extension, and which are worth compressing. */
#include "http/media.h"

#include "check.h"

static void check_type(const char *path, const char *type) {
  const char *actual = ls_media_of(ls_slice_of(path))->type;
  CHECK_BYTES(actual, strlen(actual), type);
}

/* The first and the last of the table too: it must be in order for all to be found. */
static void finds_by_extension(void) {
  check_type("index.html", "text/html; charset=utf-8");
  check_type("a/b.c/INDEX.HTML", "text/html; charset=utf-8");
  check_type("x.tar.gz", "application/gzip");
  check_type("x.7z", "application/x-7z-compressed");
  check_type("x.zst", "application/zstd");
  check_type("x.mjs", "text/javascript; charset=utf-8");
  check_type("x.svg", "image/svg+xml");
  check_type("x.webmanifest", "application/manifest+json");
  check_type(".css", "text/css; charset=utf-8");
}

static void others_are_bytes(void) {
  static const char *const paths[] = {
      "", ".", "/", "Makefile", "a.html/b", "x.", "x.nosuch", "x.htmlhtmlhtmlhtmlhtml", "html"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    check_type(paths[i], "application/octet-stream");
}

static void every_extension_finds_itself(void) {
  static const char *const extensions[] = {"avif", "bmp",  "csv",   "flac", "gif",  "ico", "ics",  "jpeg", "jpg",
                                           "js",   "json", "map",   "md",   "mp3",  "mp4", "ogg",  "opus", "otf",
                                           "pdf",  "png",  "rss",   "ttf",  "txt",  "vtt", "wasm", "wav",  "webm",
                                           "webp", "woff", "woff2", "xml",  "yaml", "zip"};
  for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
    char path[32];
    snprintf(path, sizeof path, "x.%s", extensions[i]);
    const char *found = ls_media_of(ls_slice_of(path))->extension;
    CHECK_BYTES(found, strlen(found), extensions[i]);
  }
}

static void compressible(const char *type, bool expected) {
  CHECK_INT(ls_media_is_compressible(ls_slice_of(type)), expected);
}

static void text_is_worth_compressing(void) {
  compressible("text/html; charset=utf-8", true);
  compressible("TEXT/x-anything", true);
  compressible("application/json", true);
  compressible("application/json ; charset=utf-8", true);
  compressible("application/problem+json", true);
  compressible("image/svg+xml", true);
  compressible("application/wasm", true);
  compressible("application/javascript", true);
  compressible("image/png", false);
  compressible("video/mp4", false);
  compressible("application/zip", false);
  compressible("application/octet-stream", false);
  compressible("application/js", false);
  compressible("application/jsonx", false);
  compressible("text/", false);
  compressible("+json", false);
  compressible("", false);
}

static void types_are_compared_without_parameters(void) {
  CHECK(ls_media_is(ls_slice_of("Text/HTML ; charset=utf-8"), "text/html"));
  CHECK(!ls_media_is(ls_slice_of("text/htmlx"), "text/html"));
  CHECK(!ls_media_is(ls_slice_of(""), "text/html"));
  CHECK(ls_media_is_json(ls_slice_of("application/json;charset=utf-8")));
  CHECK(ls_media_is_json(ls_slice_of("application/problem+JSON")));
  CHECK(!ls_media_is_json(ls_slice_of("+json")));
  CHECK(!ls_media_is_json(ls_slice_of("application/json5")));
  CHECK(!ls_media_is_json(ls_slice_of("text/plain; x=application/json")));
  CHECK(!ls_media_is_json(ls_slice_of("text/plain; a+json")));
}

int main(void) {
  RUN(finds_by_extension);
  RUN(others_are_bytes);
  RUN(every_extension_finds_itself);
  RUN(text_is_worth_compressing);
  RUN(types_are_compared_without_parameters);
  return 0;
}
