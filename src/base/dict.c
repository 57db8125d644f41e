/* SPDX-License-Identifier: MIT */
#include "base/dict.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/siphash.h"

enum {
  STRIPES_MAX = 16,
  STRIPE_BYTES = 256 * 1024, /* a dictionary has so many stripes that each may hold this much */
  BUCKETS_FIRST = 16,
  EXPIRED_LOOKS = 8, /* how many of the longest unused are looked at for one that has expired */
  DEFAULT_BYTES = 1024 * 1024
};

struct entry {
  struct entry *next;  /* in its bucket */
  struct ls_list link; /* in the stripe's order of use: the last used in front */
  uint64_t hash;
  uint64_t expires;           /* ns of the monotonic clock; 0: never */
  struct ls_dict_value value; /* its bytes are behind the key */
  size_t size;                /* of the whole */
  uint32_t key_len;
  char bytes[];
};

struct stripe {
  pthread_mutex_t mutex;
  struct entry **buckets;
  size_t bucket_count; /* a power of two */
  struct ls_list used;
  struct ls_dict_stats stats; /* max_bytes: the stripe's */
};

struct ls_dict {
  struct ls_dict *next;
  const struct ls_siphash_key *secret;
  size_t max_bytes;
  unsigned stripe_count; /* a power of two */
  struct stripe *stripes;
  size_t name_len;
  char name[];
};

struct ls_dicts {
  pthread_mutex_t mutex;
  struct ls_dict *first;
  struct ls_siphash_key secret;
};

/* ---- entries, under the stripe's mutex ---- */

static struct entry **find_link(struct stripe *stripe, struct ls_slice key, uint64_t hash) {
  struct entry **link = &stripe->buckets[hash >> 8 & (stripe->bucket_count - 1)];
  while (*link != NULL && ((*link)->hash != hash || !ls_slice_equal(ls_slice((*link)->bytes, (*link)->key_len), key)))
    link = &(*link)->next;
  return link;
}

static void remove_at(struct stripe *stripe, struct entry **link) {
  struct entry *entry = *link;
  *link = entry->next;
  ls_list_remove(&entry->link);
  stripe->stats.count--;
  stripe->stats.bytes -= entry->size;
  free(entry);
}

static void remove_entry(struct stripe *stripe, struct entry *entry) {
  remove_at(stripe, find_link(stripe, ls_slice(entry->bytes, entry->key_len), entry->hash));
}

static bool has_expired(const struct entry *entry, uint64_t now) {
  return entry->expires != 0 && entry->expires <= now;
}

/* The link of what is there and has not expired; *link is NULL where nothing is. */
static struct entry **find(struct stripe *stripe, struct ls_slice key, uint64_t hash) {
  struct entry **link = find_link(stripe, key, hash);
  if (*link != NULL && has_expired(*link, ls_clock_ns())) {
    remove_at(stripe, link);
    stripe->stats.expirations++;
    link = find_link(stripe, key, hash);
  }
  return link;
}

static struct entry *entry_of(struct ls_list *link) {
  return ls_container_of(link, struct entry, link);
}

/* Of those unused for longest one that has expired, or else the first of them. */
static void evict_one(struct stripe *stripe, uint64_t now) {
  struct ls_list *link = stripe->used.prev;
  for (int i = 0; i < EXPIRED_LOOKS && link != &stripe->used; i++, link = link->prev) {
    if (!has_expired(entry_of(link), now))
      continue;
    stripe->stats.expirations++;
    remove_entry(stripe, entry_of(link));
    return;
  }
  stripe->stats.evictions++;
  remove_entry(stripe, entry_of(stripe->used.prev));
}

static void make_room(struct stripe *stripe, size_t size) {
  uint64_t now = ls_clock_ns();
  while (stripe->stats.bytes + size > stripe->stats.max_bytes && !ls_list_is_empty(&stripe->used))
    evict_one(stripe, now);
}

/* Where memory is short chains get longer, and that is all. */
static void grow(struct stripe *stripe) {
  size_t count = stripe->bucket_count * 2;
  struct entry **buckets = calloc(count, sizeof(*buckets));
  if (buckets == NULL)
    return;
  for (size_t i = 0; i < stripe->bucket_count; i++) {
    for (struct entry *entry = stripe->buckets[i], *next; entry != NULL; entry = next) {
      next = entry->next;
      struct entry **to = &buckets[entry->hash >> 8 & (count - 1)];
      entry->next = *to;
      *to = entry;
    }
  }
  free(stripe->buckets);
  stripe->buckets = buckets;
  stripe->bucket_count = count;
}

static size_t size_of(struct ls_slice key, const struct ls_dict_value *value) {
  return sizeof(struct entry) + key.len + value->bytes.len;
}

/* An entry that is in no stripe yet. */
static struct entry *new_entry(struct ls_slice key, uint64_t hash, const struct ls_dict_value *value) {
  struct entry *entry = malloc(size_of(key, value));
  if (entry == NULL)
    return NULL;
  *entry = (struct entry){.hash = hash, .value = *value, .size = size_of(key, value), .key_len = (uint32_t)key.len};
  memcpy(entry->bytes, key.ptr, key.len);
  if (value->bytes.len != 0)
    memcpy(entry->bytes + key.len, value->bytes.ptr, value->bytes.len);
  entry->value.bytes.ptr = entry->bytes + key.len;
  return entry;
}

/* Puts it in, in place of what is there. */
static void insert(struct stripe *stripe, struct entry *entry) {
  struct ls_slice key = ls_slice(entry->bytes, entry->key_len);
  struct entry **link = find_link(stripe, key, entry->hash);
  if (*link != NULL)
    remove_at(stripe, link);
  make_room(stripe, entry->size);
  if (stripe->stats.count >= stripe->bucket_count)
    grow(stripe);
  link = &stripe->buckets[entry->hash >> 8 & (stripe->bucket_count - 1)];
  entry->next = *link;
  *link = entry;
  ls_list_push_front(&stripe->used, &entry->link);
  stripe->stats.count++;
  stripe->stats.bytes += entry->size;
}

static uint64_t expiry_of(uint64_t ttl_ns) {
  return ttl_ns == 0 ? 0 : ls_clock_ns() + ttl_ns;
}

static void touch(struct stripe *stripe, struct entry *entry) {
  ls_list_remove(&entry->link);
  ls_list_push_front(&stripe->used, &entry->link);
}

static int copy_out(const struct entry *entry, struct ls_dict_value *value, struct ls_buf *copy) {
  *value = entry->value;
  ls_buf_clear(copy);
  if (ls_buf_append(copy, value->bytes.ptr, value->bytes.len) != 0)
    return -ENOMEM;
  value->bytes.ptr = ls_buf_bytes(copy);
  return 1;
}

/* ---- the stripe of a key ---- */

static uint64_t hash_of(const struct ls_dict *dict, struct ls_slice key) {
  return ls_siphash(dict->secret, key.ptr, key.len);
}

static struct stripe *lock(struct ls_dict *dict, uint64_t hash) {
  struct stripe *stripe = &dict->stripes[hash & (dict->stripe_count - 1)];
  pthread_mutex_lock(&stripe->mutex);
  return stripe;
}

static void unlock(struct stripe *stripe) {
  pthread_mutex_unlock(&stripe->mutex);
}

/* ---- what can be done with a key ---- */

struct ls_slice ls_dict_name(const struct ls_dict *dict) {
  return ls_slice(dict->name, dict->name_len);
}

size_t ls_dict_largest(const struct ls_dict *dict) {
  return dict->max_bytes / dict->stripe_count;
}

int ls_dict_set(struct ls_dict *dict, struct ls_slice key, const struct ls_dict_value *value, uint64_t ttl_ns,
                enum ls_dict_when when) {
  uint64_t hash = hash_of(dict, key);
  if (size_of(key, value) > ls_dict_largest(dict))
    return LS_ETOOBIG;
  struct entry *entry = new_entry(key, hash, value); /* before the mutex is taken */
  if (entry == NULL)
    return -ENOMEM;
  entry->expires = expiry_of(ttl_ns);
  struct stripe *stripe = lock(dict, hash);
  bool present = when != LS_DICT_ALWAYS && *find(stripe, key, hash) != NULL;
  bool stores = when == LS_DICT_ALWAYS || present == (when == LS_DICT_IF_PRESENT);
  if (stores)
    insert(stripe, entry);
  unlock(stripe);
  if (!stores)
    free(entry);
  return stores;
}

int ls_dict_get(struct ls_dict *dict, struct ls_slice key, struct ls_dict_value *value, struct ls_buf *copy) {
  uint64_t hash = hash_of(dict, key);
  struct stripe *stripe = lock(dict, hash);
  struct entry *entry = *find(stripe, key, hash);
  int result = 0;
  if (entry != NULL) {
    touch(stripe, entry);
    stripe->stats.hits++;
    result = copy_out(entry, value, copy);
  } else {
    stripe->stats.misses++;
  }
  unlock(stripe);
  return result;
}

bool ls_dict_delete(struct ls_dict *dict, struct ls_slice key) {
  uint64_t hash = hash_of(dict, key);
  struct stripe *stripe = lock(dict, hash);
  struct entry **link = find(stripe, key, hash);
  bool present = *link != NULL;
  if (present)
    remove_at(stripe, link);
  unlock(stripe);
  return present;
}

static bool is_number(const struct ls_dict_value *value) {
  return value->type == LS_DICT_INTEGER || value->type == LS_DICT_FLOAT;
}

static double to_float(const struct ls_dict_value *value) {
  return value->type == LS_DICT_FLOAT ? value->number : (double)value->integer;
}

static void add_to(struct ls_dict_value *value, const struct ls_dict_value *by) {
  if (value->type == LS_DICT_INTEGER && by->type == LS_DICT_INTEGER)
    value->integer = (int64_t)((uint64_t)value->integer + (uint64_t)by->integer);
  else
    *value =
        (struct ls_dict_value){.type = LS_DICT_FLOAT, .number = to_float(value) + to_float(by), .bytes = value->bytes};
}

int ls_dict_add(struct ls_dict *dict, struct ls_slice key, const struct ls_dict_value *by,
                const struct ls_dict_value *initial, uint64_t ttl_ns, struct ls_dict_value *sum) {
  uint64_t hash = hash_of(dict, key);
  struct entry *fresh = NULL;
  if (initial != NULL) {
    if (size_of(key, initial) > ls_dict_largest(dict))
      return LS_ETOOBIG;
    fresh = new_entry(key, hash, initial);
    if (fresh == NULL)
      return -ENOMEM;
    fresh->expires = expiry_of(ttl_ns);
    add_to(&fresh->value, by);
  }
  struct stripe *stripe = lock(dict, hash);
  struct entry *entry = *find(stripe, key, hash);
  int result = entry == NULL ? initial != NULL : is_number(&entry->value) ? 1 : -EINVAL;
  if (entry == NULL && initial != NULL) {
    entry = fresh;
    fresh = NULL;
    insert(stripe, entry);
  } else if (result == 1) {
    add_to(&entry->value, by);
    touch(stripe, entry);
  }
  if (result == 1)
    *sum = entry->value;
  unlock(stripe);
  free(fresh);
  return result;
}

static bool is_equal(const struct ls_dict_value *a, const struct ls_dict_value *b) {
  if (a->type != b->type)
    return is_number(a) && is_number(b) && to_float(a) == to_float(b);
  if (a->type == LS_DICT_FLOAT)
    return a->number == b->number;
  return a->integer == b->integer && ls_slice_equal(a->bytes, b->bytes);
}

int ls_dict_swap(struct ls_dict *dict, struct ls_slice key, const struct ls_dict_value *expected,
                 const struct ls_dict_value *value, struct ls_dict_value *has, bool *is_there, struct ls_buf *copy) {
  uint64_t hash = hash_of(dict, key);
  if (value != NULL && size_of(key, value) > ls_dict_largest(dict))
    return LS_ETOOBIG;
  struct entry *fresh = value != NULL ? new_entry(key, hash, value) : NULL;
  if (value != NULL && fresh == NULL)
    return -ENOMEM;
  struct stripe *stripe = lock(dict, hash);
  struct entry **link = find(stripe, key, hash), *entry = *link;
  *is_there = entry != NULL;
  bool fits = entry == NULL ? expected == NULL : expected != NULL && is_equal(&entry->value, expected);
  int result = fits;
  if (!fits && entry != NULL) {
    result = copy_out(entry, has, copy) < 0 ? -ENOMEM : 0;
  } else if (fits && fresh != NULL) {
    fresh->expires = entry != NULL ? entry->expires : 0;
    insert(stripe, fresh);
    fresh = NULL;
  } else if (fits && entry != NULL) {
    remove_at(stripe, link);
  }
  unlock(stripe);
  free(fresh);
  return result;
}

int64_t ls_dict_ttl(struct ls_dict *dict, struct ls_slice key) {
  uint64_t hash = hash_of(dict, key);
  struct stripe *stripe = lock(dict, hash);
  const struct entry *entry = *find(stripe, key, hash);
  uint64_t expires = entry != NULL ? entry->expires : 0;
  unlock(stripe);
  if (entry == NULL)
    return -1;
  uint64_t now = ls_clock_ns();
  return expires == 0 ? 0 : expires > now ? (int64_t)(expires - now) : 1;
}

bool ls_dict_expire(struct ls_dict *dict, struct ls_slice key, uint64_t ttl_ns) {
  uint64_t hash = hash_of(dict, key);
  struct stripe *stripe = lock(dict, hash);
  struct entry *entry = *find(stripe, key, hash);
  if (entry != NULL)
    entry->expires = expiry_of(ttl_ns);
  unlock(stripe);
  return entry != NULL;
}

/* ---- the whole of it ---- */

static int append_key(struct ls_buf *out, const struct entry *entry) {
  if (ls_buf_append(out, &entry->key_len, sizeof entry->key_len) != 0)
    return -ENOMEM;
  return ls_buf_append(out, entry->bytes, entry->key_len);
}

int64_t ls_dict_keys(struct ls_dict *dict, size_t max, struct ls_buf *out) {
  int64_t count = 0;
  int status = 0;
  uint64_t now = ls_clock_ns();
  for (unsigned i = 0; i < dict->stripe_count && status == 0; i++) {
    struct stripe *stripe = lock(dict, i);
    for (struct ls_list *link = stripe->used.next; link != &stripe->used && status == 0; link = link->next) {
      if (has_expired(entry_of(link), now) || (size_t)count == max)
        continue;
      status = append_key(out, entry_of(link));
      count++;
    }
    unlock(stripe);
  }
  return status != 0 ? -ENOMEM : count;
}

static void clear_stripe(struct stripe *stripe) {
  while (!ls_list_is_empty(&stripe->used))
    remove_entry(stripe, entry_of(stripe->used.next));
}

void ls_dict_clear(struct ls_dict *dict) {
  for (unsigned i = 0; i < dict->stripe_count; i++) {
    struct stripe *stripe = lock(dict, i);
    clear_stripe(stripe);
    unlock(stripe);
  }
}

void ls_dict_stats(struct ls_dict *dict, struct ls_dict_stats *stats) {
  *stats = (struct ls_dict_stats){.max_bytes = dict->max_bytes};
  for (unsigned i = 0; i < dict->stripe_count; i++) {
    struct stripe *stripe = lock(dict, i);
    stats->hits += stripe->stats.hits;
    stats->misses += stripe->stats.misses;
    stats->evictions += stripe->stats.evictions;
    stats->expirations += stripe->stats.expirations;
    stats->count += stripe->stats.count;
    stats->bytes += stripe->stats.bytes;
    unlock(stripe);
  }
}

/* ---- dictionaries ---- */

static void free_dict(struct ls_dict *dict) {
  for (unsigned i = 0; i < dict->stripe_count; i++) {
    struct stripe *stripe = &dict->stripes[i];
    clear_stripe(stripe);
    free(stripe->buckets);
    pthread_mutex_destroy(&stripe->mutex);
  }
  free(dict->stripes);
  free(dict);
}

static bool init_stripe(struct stripe *stripe, size_t max_bytes) {
  stripe->buckets = calloc(BUCKETS_FIRST, sizeof(*stripe->buckets));
  stripe->bucket_count = BUCKETS_FIRST;
  stripe->stats.max_bytes = max_bytes;
  ls_list_init(&stripe->used);
  if (stripe->buckets != NULL && pthread_mutex_init(&stripe->mutex, NULL) == 0)
    return true;
  free(stripe->buckets);
  return false;
}

static struct ls_dict *new_dict(struct ls_dicts *dicts, struct ls_slice name, size_t max_bytes) {
  unsigned count = 1;
  while (count < STRIPES_MAX && max_bytes / (count * 2) >= STRIPE_BYTES)
    count *= 2;
  struct ls_dict *dict = calloc(1, sizeof *dict + name.len);
  struct stripe *stripes = dict != NULL ? calloc(count, sizeof *stripes) : NULL;
  if (stripes == NULL) {
    free(dict);
    return NULL;
  }
  dict->stripes = stripes;
  dict->secret = &dicts->secret;
  dict->max_bytes = max_bytes;
  dict->name_len = name.len;
  memcpy(dict->name, name.ptr, name.len);
  for (; dict->stripe_count < count; dict->stripe_count++) {
    if (!init_stripe(&stripes[dict->stripe_count], max_bytes / count)) {
      free_dict(dict);
      return NULL;
    }
  }
  return dict;
}

struct ls_dicts *ls_dicts_new(void) {
  struct ls_dicts *dicts = calloc(1, sizeof *dicts);
  if (dicts == NULL || pthread_mutex_init(&dicts->mutex, NULL) != 0) {
    free(dicts);
    return NULL;
  }
  if (getrandom(&dicts->secret, sizeof dicts->secret, GRND_NONBLOCK) != sizeof dicts->secret)
    dicts->secret.k0 = ls_clock_ns(); /* early in the life of a system: better than nothing */
  return dicts;
}

void ls_dicts_free(struct ls_dicts *dicts) {
  if (dicts == NULL)
    return;
  for (struct ls_dict *dict = dicts->first, *next; dict != NULL; dict = next) {
    next = dict->next;
    free_dict(dict);
  }
  pthread_mutex_destroy(&dicts->mutex);
  free(dicts);
}

struct ls_dict *ls_dicts_open(struct ls_dicts *dicts, struct ls_slice name, size_t max_bytes, size_t *has, int *error) {
  pthread_mutex_lock(&dicts->mutex);
  struct ls_dict *dict = dicts->first;
  while (dict != NULL && !ls_slice_equal(ls_slice(dict->name, dict->name_len), name))
    dict = dict->next;
  *error = 0;
  if (dict == NULL) {
    dict = new_dict(dicts, name, max_bytes != 0 ? max_bytes : DEFAULT_BYTES);
    if (dict == NULL) {
      *error = -ENOMEM;
    } else {
      dict->next = dicts->first;
      dicts->first = dict;
    }
  } else if (max_bytes != 0 && max_bytes != dict->max_bytes) {
    *has = dict->max_bytes;
    *error = -EEXIST;
    dict = NULL;
  }
  pthread_mutex_unlock(&dicts->mutex);
  return dict;
}
