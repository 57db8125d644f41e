/* SPDX-License-Identifier: MIT */
/* work_test: jobs run in lanes and come back to the loop that sent them.
 * Jobs that must be running while something else is looked at wait for a gate, which the spec opens. */
#include "loop/work.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "check.h"
#include "loop/loop.h"

enum { JOBS_MAX = 64 };

struct spec {
  struct ls_pool *pool;
  struct ls_log *log;
  struct ls_loop loop;
  pthread_mutex_t mutex;
  int order[JOBS_MAX]; /* of starting: under the mutex */
  int started;
  int done_order[JOBS_MAX]; /* loop's thread */
  int done;
};

struct job {
  struct ls_work work;
  struct spec *spec;
  int id;
  sem_t *began; /* posted when it runs */
  sem_t *gate;  /* waited for while it runs */
  pthread_t thread;
  bool ran;
  int done;
};

static void on_run(struct ls_work *work) {
  struct job *job = ls_container_of(work, struct job, work);
  pthread_mutex_lock(&job->spec->mutex);
  job->spec->order[job->spec->started++] = job->id;
  pthread_mutex_unlock(&job->spec->mutex);
  job->ran = true;
  job->thread = pthread_self();
  if (job->began != NULL)
    sem_post(job->began);
  if (job->gate != NULL)
    sem_wait(job->gate);
}

static void on_done(struct ls_work *work) {
  struct job *job = ls_container_of(work, struct job, work);
  job->spec->done_order[job->spec->done++] = job->id;
  job->done++;
}

static void init_job(struct spec *spec, struct job *job, int id) {
  *job = (struct job){.work = {.run = on_run, .done = on_done}, .spec = spec, .id = id};
}

static void start(struct spec *spec, unsigned threads) {
  memset(spec, 0, sizeof *spec);
  pthread_mutex_init(&spec->mutex, NULL);
  spec->pool = ls_pool_new(threads);
  CHECK(spec->pool != NULL);
  spec->log = ls_log_new(2, 65536);
  CHECK_INT(ls_loop_init(&spec->loop, spec->pool, spec->log), 0);
}

static void end(struct spec *spec) {
  ls_loop_dispose(&spec->loop);
  for (int lane = 0; lane < LS_LANES; lane++) {
    struct ls_lane_stats stats;
    ls_pool_stats(spec->pool, lane, &stats);
    CHECK_INT(stats.queued + stats.running, 0);
  }
  ls_pool_free(spec->pool);
  ls_log_free(spec->log);
  pthread_mutex_destroy(&spec->mutex);
}

static void submit(struct spec *spec, struct job *job, enum ls_lane lane) {
  CHECK_INT(ls_work_submit(&spec->loop, &job->work, lane), 0);
}

static unsigned running(struct spec *spec, enum ls_lane lane) {
  struct ls_lane_stats stats;
  ls_pool_stats(spec->pool, lane, &stats);
  return stats.running;
}

static unsigned waiting(struct spec *spec, enum ls_lane lane) {
  struct ls_lane_stats stats;
  ls_pool_stats(spec->pool, lane, &stats);
  return stats.queued;
}

static void caps_leave_a_thread_for_files(void) {
  for (unsigned threads = 1; threads <= 70; threads++) {
    struct ls_pool *pool = ls_pool_new(threads);
    struct ls_lane_stats stats[LS_LANES];
    for (int lane = 0; lane < LS_LANES; lane++) {
      ls_pool_stats(pool, lane, &stats[lane]);
      CHECK(stats[lane].cap >= 1 && stats[lane].cap <= threads);
    }
    CHECK_INT(ls_pool_threads(pool), threads);
    CHECK_INT(stats[LS_LANE_FILE].cap, threads);
    unsigned others = stats[LS_LANE_DNS].cap + stats[LS_LANE_HASH].cap + stats[LS_LANE_USER].cap;
    CHECK_INT(others, threads < 4 ? 3 : threads - 1);
    ls_pool_free(pool);
  }
}

static void job_runs_elsewhere_and_is_done_here(void) {
  struct spec spec;
  struct job job;
  start(&spec, 4);
  init_job(&spec, &job, 1);
  submit(&spec, &job, LS_LANE_FILE);
  CHECK_INT(job.done, 0);
  ls_loop_run(&spec.loop); /* stays until the job is done */
  CHECK(job.ran);
  CHECK(!pthread_equal(job.thread, pthread_self()));
  CHECK_INT(job.done, 1);
  struct ls_lane_stats stats;
  ls_pool_stats(spec.pool, LS_LANE_FILE, &stats);
  CHECK_INT(stats.done, 1);
  CHECK(stats.wait_ns_total > 0 && stats.wait_ns_max == stats.wait_ns_total);
  submit(&spec, &job, LS_LANE_USER); /* the same job again */
  ls_loop_run(&spec.loop);
  CHECK_INT(job.done, 2);
  end(&spec);
}

static void lane_of_one_is_first_in_first_out(void) {
  struct spec spec;
  struct job jobs[40];
  start(&spec, 4);
  for (int i = 0; i < 40; i++) {
    init_job(&spec, &jobs[i], i);
    submit(&spec, &jobs[i], LS_LANE_HASH);
  }
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.started, 40);
  CHECK_INT(spec.done, 40);
  for (int i = 0; i < 40; i++) {
    CHECK_INT(spec.order[i], i);
    CHECK_INT(spec.done_order[i], i);
  }
  end(&spec);
}

/* The others hold until the file job is done: it would wait for ever if it waited for any of them. */
static void file_job_overtakes_user_jobs(void) {
  struct spec spec;
  struct job jobs[20], file;
  sem_t gate;
  sem_init(&gate, 0, 0);
  start(&spec, 4);
  for (int i = 0; i < 20; i++) {
    init_job(&spec, &jobs[i], i);
    jobs[i].gate = &gate;
    submit(&spec, &jobs[i], i % 3 == 0 ? LS_LANE_USER : i % 3 == 1 ? LS_LANE_HASH : LS_LANE_DNS);
  }
  init_job(&spec, &file, 100);
  submit(&spec, &file, LS_LANE_FILE);
  while (file.done == 0)
    uv_run(&spec.loop.uv, UV_RUN_ONCE);
  CHECK_INT(spec.done, 1);
  for (int i = 0; i < 20; i++)
    sem_post(&gate);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.done, 21);
  end(&spec);
  sem_destroy(&gate);
}

/* With one thread the runner goes by waiting time alone. */
static void longest_waiting_job_is_next(void) {
  struct spec spec;
  struct job jobs[12];
  sem_t gate;
  sem_init(&gate, 0, 0);
  start(&spec, 1);
  for (int i = 0; i < 12; i++) {
    init_job(&spec, &jobs[i], i);
    jobs[i].gate = i == 0 ? &gate : NULL;
    submit(&spec, &jobs[i], (enum ls_lane)(i * 7 % LS_LANES));
  }
  sem_post(&gate);
  ls_loop_run(&spec.loop);
  for (int i = 0; i < 12; i++)
    CHECK_INT(spec.order[i], i);
  end(&spec);
  sem_destroy(&gate);
}

/* The loop takes no callback in between, so none of the runners that have ended has given its slot back. */
static void jobs_start_while_the_loop_is_busy(void) {
  struct spec spec;
  struct job jobs[10];
  sem_t began;
  sem_init(&began, 0, 0);
  start(&spec, 1);
  for (int i = 0; i < 10; i++) {
    init_job(&spec, &jobs[i], i);
    jobs[i].began = &began;
    submit(&spec, &jobs[i], LS_LANE_USER);
    sem_wait(&began);
  }
  CHECK_INT(spec.done, 0);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.done, 10);
  end(&spec);
  sem_destroy(&began);
}

static void never_more_than_the_cap_run(void) {
  struct spec spec;
  struct job jobs[12];
  sem_t gate, began;
  sem_init(&gate, 0, 0);
  sem_init(&began, 0, 0);
  start(&spec, 4);
  for (int i = 0; i < 12; i++) {
    init_job(&spec, &jobs[i], i);
    jobs[i].gate = &gate;
    jobs[i].began = &began;
    submit(&spec, &jobs[i], LS_LANE_FILE);
  }
  for (int i = 0; i < 4; i++)
    sem_wait(&began);
  CHECK_INT(running(&spec, LS_LANE_FILE), 4);
  for (int i = 4; i < 12; i++) {
    sem_post(&gate);
    sem_wait(&began);
    CHECK(running(&spec, LS_LANE_FILE) <= 4);
  }
  for (int i = 0; i < 4; i++)
    sem_post(&gate);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.done, 12);
  end(&spec);
  sem_destroy(&gate);
  sem_destroy(&began);
}

static void waiting_job_can_be_cancelled_and_a_running_one_not(void) {
  struct spec spec;
  struct job first, second, third, never;
  sem_t gate, began;
  sem_init(&gate, 0, 0);
  sem_init(&began, 0, 0);
  start(&spec, 4);
  init_job(&spec, &first, 1);
  init_job(&spec, &second, 2);
  init_job(&spec, &third, 3);
  init_job(&spec, &never, 4);
  first.gate = &gate;
  first.began = &began;
  submit(&spec, &first, LS_LANE_HASH);
  submit(&spec, &second, LS_LANE_HASH);
  submit(&spec, &third, LS_LANE_HASH);
  sem_wait(&began);
  CHECK(!ls_work_cancel(&first.work));
  CHECK(ls_work_cancel(&second.work));
  CHECK(!ls_work_cancel(&second.work));
  CHECK(!ls_work_cancel(&never.work));
  sem_post(&gate);
  ls_loop_run(&spec.loop);
  CHECK_INT(first.done, 1);
  CHECK(!second.ran && second.done == 0);
  CHECK_INT(third.done, 1);
  CHECK(!ls_work_cancel(&first.work));
  submit(&spec, &second, LS_LANE_HASH); /* cancelled is not used up */
  ls_loop_run(&spec.loop);
  CHECK_INT(second.done, 1);
  end(&spec);
  sem_destroy(&gate);
  sem_destroy(&began);
}

static void cancelling_everything_lets_the_loop_end(void) {
  struct spec spec;
  struct job jobs[8];
  start(&spec, 2);
  for (int i = 0; i < 8; i++) {
    init_job(&spec, &jobs[i], i);
    submit(&spec, &jobs[i], LS_LANE_USER);
  }
  int cancelled = 0;
  for (int i = 7; i >= 0; i--)
    cancelled += ls_work_cancel(&jobs[i].work);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.done + cancelled, 8);
  CHECK_INT(spec.started, spec.done);
  end(&spec);
}

/* ---- done callbacks that use the pool ---- */

struct chain {
  struct job job;
  struct job *victims; /* cancelled by the first done */
  bool cancelled;      /* whether any cancel said yes */
  struct ls_ready ready;
  int drained; /* of spec->done when the drain came */
};

static void on_ready(struct ls_ready *ready) {
  struct chain *chain = ls_container_of(ready, struct chain, ready);
  chain->drained = chain->job.spec->done;
}

static void on_chain_done(struct ls_work *work) {
  struct chain *chain = ls_container_of(work, struct chain, job.work);
  on_done(work);
  ls_loop_ready(chain->job.work.loop, &chain->ready);
  for (int i = 0; i < 3 && chain->victims != NULL; i++)
    chain->cancelled = ls_work_cancel(&chain->victims[i].work) || chain->cancelled;
  if (chain->job.done < 3)
    submit(chain->job.spec, &chain->job, LS_LANE_FILE);
}

/* The runner is held at its last job, so the others wait in the inbox together. */
static void done_may_cancel_finished_jobs_and_submit(void) {
  struct spec spec;
  struct chain chain = {0};
  struct job others[3], last;
  sem_t gate, began;
  sem_init(&gate, 0, 0);
  sem_init(&began, 0, 0);
  start(&spec, 1);
  init_job(&spec, &chain.job, 0);
  chain.job.work.done = on_chain_done;
  chain.victims = others;
  chain.ready.run = on_ready;
  ls_list_init(&chain.ready.link);
  submit(&spec, &chain.job, LS_LANE_FILE);
  for (int i = 0; i < 3; i++) {
    init_job(&spec, &others[i], i + 1);
    submit(&spec, &others[i], LS_LANE_FILE);
  }
  init_job(&spec, &last, 4);
  last.gate = &gate;
  last.began = &began;
  submit(&spec, &last, LS_LANE_FILE);
  sem_wait(&began);
  while (spec.done < 4)
    uv_run(&spec.loop.uv, UV_RUN_ONCE);
  CHECK(!chain.cancelled);
  CHECK_INT(chain.drained, 1); /* its drain came before the next done */
  for (int i = 0; i < 4; i++)
    CHECK_INT(spec.done_order[i], i);
  sem_post(&gate);
  ls_loop_run(&spec.loop);
  CHECK_INT(chain.job.done, 3);
  CHECK_INT(spec.done, 7);
  CHECK_INT(last.done, 1);
  end(&spec);
  sem_destroy(&gate);
  sem_destroy(&began);
}

static void dispose_waits_for_what_runs_and_drops_what_waits(void) {
  struct spec spec;
  struct job first, second;
  sem_t gate;
  sem_init(&gate, 0, 1);
  start(&spec, 4);
  init_job(&spec, &first, 1);
  init_job(&spec, &second, 2);
  first.gate = &gate;
  submit(&spec, &first, LS_LANE_HASH);
  submit(&spec, &second, LS_LANE_HASH);
  end(&spec); /* the pool is empty, checks end */
  CHECK_INT(first.done, first.ran);
  CHECK_INT(second.done, second.ran);
  sem_destroy(&gate);
}

/* ---- several loops ---- */

struct other {
  struct spec spec; /* with a loop of its own and the first one's pool */
  struct job jobs[JOBS_MAX];
  enum ls_lane lane;
  int rounds;
  pthread_t loop_thread;
  sem_t *submitted;
};

static void *run_other(void *arg) {
  struct other *other = arg;
  CHECK_INT(ls_loop_init(&other->spec.loop, other->spec.pool, other->spec.log), 0);
  for (int round = 0; round < other->rounds; round++) {
    other->spec.done = 0;
    other->spec.started = 0;
    for (int i = 0; i < JOBS_MAX; i++) {
      init_job(&other->spec, &other->jobs[i], i);
      submit(&other->spec, &other->jobs[i], (enum ls_lane)((i + other->lane) % LS_LANES));
    }
    for (int i = 0; i < JOBS_MAX; i += 5) {
      if (ls_work_cancel(&other->jobs[i].work))
        submit(&other->spec, &other->jobs[i], other->lane);
    }
    ls_loop_run(&other->spec.loop);
    CHECK_INT(other->spec.done, JOBS_MAX);
    for (int i = 0; i < JOBS_MAX; i++)
      CHECK_INT(other->jobs[i].done, 1);
  }
  ls_loop_dispose(&other->spec.loop);
  return NULL;
}

static void loops_share_a_pool(void) {
  struct ls_pool *pool = ls_pool_new(4);
  struct ls_log *log = ls_log_new(2, 65536);
  struct other *others = calloc(3, sizeof *others);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) {
    pthread_mutex_init(&others[i].spec.mutex, NULL);
    others[i].spec.pool = pool;
    others[i].spec.log = log;
    others[i].lane = (enum ls_lane)i;
    others[i].rounds = 30;
    CHECK_INT(pthread_create(&threads[i], NULL, run_other, &others[i]), 0);
  }
  for (int i = 0; i < 3; i++)
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  for (int i = 0; i < 3; i++)
    pthread_mutex_destroy(&others[i].spec.mutex);
  free(others);
  ls_pool_free(pool);
  ls_log_free(log);
}

static void *run_one_job(void *arg) {
  struct other *other = arg;
  CHECK_INT(ls_loop_init(&other->spec.loop, other->spec.pool, other->spec.log), 0);
  for (int i = 0; i < 2; i++)
    submit(&other->spec, &other->jobs[i], LS_LANE_FILE);
  sem_post(other->submitted);
  ls_loop_run(&other->spec.loop);
  ls_loop_dispose(&other->spec.loop);
  return NULL;
}

/* One thread: the first loop's runner holds it while the other loop's jobs come in. The first loop ends with its own
 * job, though jobs of the other wait, one of them for a gate that opens only after that. */
static void runner_does_not_hold_its_loop_for_others(void) {
  struct spec spec;
  struct job job;
  struct other *other = calloc(1, sizeof *other);
  sem_t gate, other_gate, submitted;
  sem_init(&gate, 0, 0);
  sem_init(&other_gate, 0, 0);
  sem_init(&submitted, 0, 0);
  start(&spec, 1);
  init_job(&spec, &job, 1);
  job.gate = &gate;
  submit(&spec, &job, LS_LANE_FILE);

  pthread_mutex_init(&other->spec.mutex, NULL);
  other->spec.pool = spec.pool;
  other->spec.log = spec.log;
  other->submitted = &submitted;
  for (int i = 0; i < 2; i++)
    init_job(&other->spec, &other->jobs[i], i);
  other->jobs[0].gate = &other_gate;
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, run_one_job, other), 0);
  sem_wait(&submitted);
  sem_post(&gate);
  ls_loop_run(&spec.loop);
  CHECK_INT(job.done, 1);
  sem_post(&other_gate);
  pthread_join(thread, NULL);
  CHECK_INT(other->spec.done, 2);
  end(&spec);
  pthread_mutex_destroy(&other->spec.mutex);
  free(other);
  sem_destroy(&gate);
  sem_destroy(&other_gate);
  sem_destroy(&submitted);
}

static void *dispose_while_job_runs(void *arg) {
  struct other *other = arg;
  CHECK_INT(ls_loop_init(&other->spec.loop, other->spec.pool, other->spec.log), 0);
  for (int i = 0; i < 2; i++)
    submit(&other->spec, &other->jobs[i], LS_LANE_FILE);
  sem_post(other->submitted);
  sem_wait(other->jobs[0].began);
  ls_loop_dispose(&other->spec.loop);
  return NULL;
}

/* The first loop's runner goes on with the other loop's job, because its own loop still has one that waits. */
static void dispose_waits_for_a_job_on_the_runner_of_another_loop(void) {
  struct spec spec;
  struct job own[2];
  struct other *other = calloc(1, sizeof *other);
  sem_t gate, other_gate, began, submitted;
  sem_init(&gate, 0, 0);
  sem_init(&other_gate, 0, 0);
  sem_init(&began, 0, 0);
  sem_init(&submitted, 0, 0);
  start(&spec, 1);
  init_job(&spec, &own[0], 0);
  init_job(&spec, &own[1], 1);
  own[0].gate = &gate;
  submit(&spec, &own[0], LS_LANE_FILE);
  pthread_mutex_init(&other->spec.mutex, NULL);
  other->spec.pool = spec.pool;
  other->spec.log = spec.log;
  other->submitted = &submitted;
  for (int i = 0; i < 2; i++)
    init_job(&other->spec, &other->jobs[i], i);
  other->jobs[0].began = &began;
  other->jobs[0].gate = &other_gate;
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, dispose_while_job_runs, other), 0);
  sem_wait(&submitted);
  submit(&spec, &own[1], LS_LANE_FILE);
  sem_post(&gate);
  while (own[0].done == 0)
    uv_run(&spec.loop.uv, UV_RUN_ONCE);
  while (waiting(&spec, LS_LANE_FILE) > 1) /* until the other loop's second job has been dropped */
    sched_yield();
  sem_post(&other_gate);
  pthread_join(thread, NULL);
  CHECK_INT(other->jobs[0].done, 1);
  CHECK(!other->jobs[1].ran && other->jobs[1].done == 0);
  ls_loop_run(&spec.loop);
  CHECK_INT(own[1].done, 1);
  end(&spec);
  pthread_mutex_destroy(&other->spec.mutex);
  free(other);
  sem_destroy(&gate);
  sem_destroy(&other_gate);
  sem_destroy(&began);
  sem_destroy(&submitted);
}

int main(void) {
  RUN(caps_leave_a_thread_for_files);
  RUN(job_runs_elsewhere_and_is_done_here);
  RUN(lane_of_one_is_first_in_first_out);
  RUN(file_job_overtakes_user_jobs);
  RUN(longest_waiting_job_is_next);
  RUN(jobs_start_while_the_loop_is_busy);
  RUN(never_more_than_the_cap_run);
  RUN(waiting_job_can_be_cancelled_and_a_running_one_not);
  RUN(cancelling_everything_lets_the_loop_end);
  RUN(done_may_cancel_finished_jobs_and_submit);
  RUN(dispose_waits_for_what_runs_and_drops_what_waits);
  RUN(loops_share_a_pool);
  RUN(runner_does_not_hold_its_loop_for_others);
  RUN(dispose_waits_for_a_job_on_the_runner_of_another_loop);
  return 0;
}
