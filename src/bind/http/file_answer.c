/* SPDX-License-Identifier: MIT */
#include "bind/http/file_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/media.h"
#include "http/parser.h"
#include "server/response.h"

/* A file whose attributes changed less than this ago may change again within the same tick of the file system's clock,
 * which can be as coarse as this. */
#define RACY_SECONDS 2

static struct ls_request *request_of(const struct ls_file_answer *answer) {
  return answer->call->request;
}

static const struct ls_head *head_of(const struct ls_file_answer *answer) {
  return &request_of(answer)->exchange.head;
}

static bool is_get(const struct ls_file_answer *answer) {
  return head_of(answer)->method == HTTP_GET;
}

static bool is_head(const struct ls_file_answer *answer) {
  return head_of(answer)->method == HTTP_HEAD;
}

/* ---- validators ---- */

/* Two attributes as one number that tells neither (splitmix64's finalizer). */
static uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + b;
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

/* Every file has one of these: faster than printf. */
static char *put_hex(char *p, uint64_t number) {
  int shift = 60;
  while (shift > 0 && number >> shift == 0)
    shift -= 4;
  for (; shift >= 0; shift -= 4)
    *p++ = "0123456789abcdef"[number >> shift & 15];
  return p;
}

/* Size, time of the last change to the nanosecond, and inode: a file that was replaced by one of the same size and time,
 * as reproducible builds make them, is another file. The tag is weak as long as it could still come to mean other bytes:
 * changed is looked at, because that time cannot be set back. */
static const char *make_etag(struct ls_file_answer *answer, int64_t now) {
  const struct ls_file_source *source = &answer->source;
  int64_t latest = source->modified > source->changed ? source->modified : source->changed;
  uint64_t time = (uint64_t)source->modified * UINT64_C(1000000000) + source->modified_ns;
  char *p = answer->made_etag;
  if (latest > now - RACY_SECONDS) {
    *p++ = 'W';
    *p++ = '/';
  }
  *p++ = '"';
  p = put_hex(p, source->size);
  *p++ = '-';
  p = put_hex(p, mix(source->inode, time));
  *p++ = '"';
  *p = '\0';
  return answer->made_etag;
}

/* The tag that was given is of the file; its coded form is another representation. */
static const char *take_etag(struct ls_file_answer *answer) {
  const char *coding = answer->candidates[answer->candidate].coding;
  size_t len = strlen(answer->options.etag);
  if (coding != NULL)
    snprintf(answer->options.etag + len - 1, LS_ETAG_CODING_MAX, "-%s\"", coding);
  return answer->options.etag;
}

static struct ls_slice value_of(const struct ls_headers *headers, enum ls_field_id id) {
  if (!ls_headers_has(headers, id))
    return ls_slice(NULL, 0);
  return ls_headers_value(headers, (uint32_t)ls_headers_find(headers, ls_field_name(id), 0));
}

/* What res:set has said is the truth, also for the preconditions. Its tag is the response's memory: good until another
 * field is set. */
static struct ls_validators find_validators(struct ls_file_answer *answer, int64_t now) {
  const struct ls_headers *headers = &request_of(answer)->headers;
  const struct ls_file_options *options = &answer->options;
  struct ls_validators validators = {.exists = true, .etag = value_of(headers, LS_FIELD_ETAG), .modified = LS_NO_DATE};
  struct ls_slice date = value_of(headers, LS_FIELD_LAST_MODIFIED);
  if (validators.etag.ptr == NULL && options->with_etag) {
    answer->etag = options->etag != NULL ? take_etag(answer) : make_etag(answer, now);
    validators.etag = ls_slice_of(answer->etag);
  } else if (!ls_etag_is_valid(validators.etag)) {
    validators.etag.len = 0;
  }
  if (date.ptr != NULL)
    ls_date_parse(date, now, &validators.modified);
  else if (options->with_date) /* never later than Date (RFC 9110 8.8.2.1) */
    validators.modified = answer->source.modified < now ? answer->source.modified : now;
  answer->modified = validators.modified;
  return validators;
}

/* ---- fields ---- */

/* Unless the handler has set it. Values of options have been looked at when those were read. */
static int set_default(struct ls_headers *headers, enum ls_field_id id, const char *value) {
  return value == NULL ? 0 : ls_headers_default(headers, id, ls_slice_of(value));
}

static int set_date(struct ls_headers *headers, int64_t modified) {
  char text[LS_DATE_LEN + 1];
  if (modified == LS_NO_DATE)
    return 0;
  ls_date_format(modified, text);
  return set_default(headers, LS_FIELD_LAST_MODIFIED, text);
}

/* What goes with 200, 206 and 304 alike. */
static int set_common(struct ls_file_answer *answer) {
  struct ls_headers *headers = &request_of(answer)->headers;
  int status = 0;
  if (ls_headers_has(headers, LS_FIELD_CONTENT_LENGTH))
    ls_headers_remove(headers, ls_field_name(LS_FIELD_CONTENT_LENGTH));
  if (answer->options.precompressed)
    status = ls_headers_add(headers, ls_slice_of("vary"), ls_slice_of("accept-encoding"));
  if (status == 0)
    status = set_default(headers, LS_FIELD_ETAG, answer->etag);
  if (status == 0)
    status = set_default(headers, LS_FIELD_CACHE_CONTROL, answer->options.cache_control);
  return status;
}

static const char *content_type(const struct ls_file_answer *answer) {
  const char *type = answer->options.content_type;
  return type != NULL ? type : ls_media_of(ls_slice_of(answer->options.path))->type;
}

/* Each part says what the whole would have said. */
static int set_multipart(struct ls_file_answer *answer, struct ls_headers *headers) {
  char text[48 + LS_BOUNDARY_LEN];
  int status = set_default(headers, LS_FIELD_CONTENT_TYPE, content_type(answer));
  if (status != 0)
    return status;
  struct ls_slice own = value_of(headers, LS_FIELD_CONTENT_TYPE);
  char *kept = malloc(own.len + 1); /* of headers, which change now */
  if (kept == NULL)
    return -ENOMEM;
  answer->part_type = memcpy(kept, own.ptr, own.len);
  answer->parts.type = ls_slice(kept, own.len);
  snprintf(text, sizeof text, "multipart/byteranges; boundary=%s", answer->parts.boundary);
  return ls_headers_set(headers, ls_slice_of("content-type"), ls_slice_of(text));
}

static int set_range(struct ls_file_answer *answer, struct ls_headers *headers) {
  char text[LS_CONTENT_RANGE_MAX];
  ls_range_format(&answer->ranges.list[0], answer->source.size, text);
  int status = ls_headers_set(headers, ls_slice_of("content-range"), ls_slice_of(text));
  return status == 0 ? set_default(headers, LS_FIELD_CONTENT_TYPE, content_type(answer)) : status;
}

static bool may_be_partial(const struct ls_file_answer *answer) {
  return answer->options.with_ranges && answer->answer_status == 200;
}

static int set_content(struct ls_file_answer *answer) {
  struct ls_headers *headers = &request_of(answer)->headers;
  const char *coding = answer->candidates[answer->candidate].coding;
  int status = set_common(answer);
  if (status == 0)
    status = ls_file_answer_is_multipart(answer) ? set_multipart(answer, headers)
             : answer->partial                   ? set_range(answer, headers)
                                                 : set_default(headers, LS_FIELD_CONTENT_TYPE, content_type(answer));
  if (status == 0 && coding != NULL)
    status = ls_headers_set(headers, ls_slice_of("content-encoding"), ls_slice_of(coding));
  if (status == 0)
    status = set_date(headers, answer->modified);
  if (status == 0)
    status = set_default(headers, LS_FIELD_CONTENT_DISPOSITION, answer->options.disposition);
  if (status == 0 && may_be_partial(answer))
    status = set_default(headers, LS_FIELD_ACCEPT_RANGES, "bytes");
  return status;
}

/* ---- ranges ---- */

static void take_whole(struct ls_file_answer *answer) {
  answer->partial = false;
  answer->ranges.count = 1;
  answer->ranges.list[0] = (struct ls_range){.first = 0, .len = answer->source.size};
}

/* The only Range field; ptr NULL: there is none that can be followed. */
static struct ls_slice range_field(const struct ls_file_answer *answer) {
  const struct ls_head *head = head_of(answer);
  int index = is_get(answer) && may_be_partial(answer) ? ls_head_find_common(head, LS_FIELD_RANGE, 0) : -1;
  if (index < 0 || ls_head_find_common(head, LS_FIELD_RANGE, (uint32_t)index + 1) >= 0)
    return ls_slice(NULL, 0);
  return ls_head_value(head, (uint32_t)index);
}

/* Without random bytes there is no boundary that content could not have; then the client gets the whole. */
static bool choose_boundary(struct ls_file_answer *answer) {
  unsigned char random[LS_BOUNDARY_BYTES];
  if (getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random)
    return false;
  ls_byteranges_set_boundary(&answer->parts, random);
  answer->parts.ranges = &answer->ranges;
  answer->parts.size = answer->source.size;
  return true;
}

static enum ls_ranges_result choose_ranges(struct ls_file_answer *answer, const struct ls_validators *validators,
                                           int64_t now) {
  struct ls_slice field = range_field(answer);
  enum ls_ranges_result result = LS_RANGES_NONE;
  if (field.ptr != NULL && ls_conditional_range_holds(head_of(answer), validators, now))
    result = ls_ranges_parse(field, answer->source.size, &answer->ranges);
  answer->partial = result == LS_RANGES_SOME;
  if (ls_file_answer_is_multipart(answer) && !choose_boundary(answer))
    answer->partial = false;
  if (!answer->partial)
    take_whole(answer);
  return result;
}

/* ---- answers without content ---- */

static int answered(int status) {
  return status == 0 ? LS_FILE_ANSWERED : status;
}

static int answer_condition(struct ls_file_answer *answer, int condition) {
  struct ls_headers *headers = &request_of(answer)->headers;
  int status = condition == 304 ? set_common(answer) : 0;
  if (status == 0 && condition == 304 && !ls_headers_has(headers, LS_FIELD_ETAG))
    status = set_date(headers, answer->modified);
  return answered(status == 0 ? ls_http_answer_without(answer->call, condition) : status);
}

static int answer_unsatisfiable(struct ls_file_answer *answer) {
  struct ls_headers *headers = &request_of(answer)->headers;
  char text[LS_CONTENT_RANGE_MAX];
  snprintf(text, sizeof text, "bytes */%" PRIu64, answer->source.size);
  int status = ls_headers_set(headers, ls_slice_of("content-range"), ls_slice_of(text));
  if (status == 0)
    status = set_default(headers, LS_FIELD_ACCEPT_RANGES, "bytes");
  return answered(status == 0 ? ls_http_answer_without(answer->call, 416) : status);
}

/* HEAD, and statuses that never have content (RFC 9110 6.4.1): the file is not read. */
static bool has_no_content(const struct ls_file_answer *answer) {
  int status = answer->answer_status;
  return is_head(answer) || status == 204 || status == 205 || status == 304;
}

static int answer_head(struct ls_file_answer *answer) {
  int status = ls_file_answer_begin(answer);
  return answered(status == 0 ? ls_response_finish(request_of(answer)) : status);
}

/* ---- the answer ---- */

int ls_file_answer_begin(struct ls_file_answer *answer) {
  struct ls_request *request = request_of(answer);
  int status = set_content(answer);
  if (status != 0)
    return status;
  request->status = answer->partial ? 206 : answer->answer_status;
  uint64_t length =
      ls_file_answer_is_multipart(answer) ? ls_byteranges_length(&answer->parts) : answer->ranges.list[0].len;
  return ls_response_begin(request, (int64_t)length);
}

/* Preconditions are for what would be a 2xx (RFC 9110 13.2.1), and here for who wants to read: with other methods the
 * action is over by now. Ranges come after them (13.2.2). */
int ls_file_answer_decide(struct ls_file_answer *answer) {
  int64_t now = time(NULL);
  bool reads = is_get(answer) || is_head(answer);
  answer->answer_status = answer->options.status != 0 ? answer->options.status : request_of(answer)->status;
  struct ls_validators validators = find_validators(answer, now);
  int condition = 0;
  if (reads && answer->answer_status / 100 == 2)
    condition = ls_conditional_check(head_of(answer), &validators, now);
  if (condition != 0)
    return answer_condition(answer, condition);
  if (choose_ranges(answer, &validators, now) == LS_RANGES_UNSATISFIABLE)
    return answer_unsatisfiable(answer);
  return has_no_content(answer) ? answer_head(answer) : LS_FILE_CONTENT;
}
