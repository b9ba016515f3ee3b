/*
 * forks ROUNDS THREADS
 *
 * THREADS threads fork, ROUNDS times in all, while the others multiply. The children multiply
 * too; every second one first starts this program anew. A child that hangs is ended by an alarm.
 */
#define _GNU_SOURCE
#include "products.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Long for three products, even on a simulated device; a hang is for ever. */
#define PATIENCE 120

static atomic_int rounds, failures;
static char *self;

static int three_products(int seed)
{
    alarm(PATIENCE);
    for (int i = 0; i < 3; i++)
        if (!is_right(seed + i))
            return 1;
    return 0;
}

static void *worker(void *unused)
{
    for (int round; (round = atomic_fetch_sub(&rounds, 1)) > 0;) {
        pid_t child = fork();
        if (child == 0) {
            if (round % 2) {
                alarm(PATIENCE);
                execl(self, self, "child", (char *)NULL);
                _exit(2);
            }
            _exit(three_products(round));
        }
        int right = is_right(round);
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !right) {
            printf("round %d: %s, child ended with %#x\n", round, right ? "right" : "WRONG", status);
            failures++;
        }
    }
    return unused;
}

int main(int argc, char **argv)
{
    prepare_products();
    self = argv[0];
    if (argc == 2)
        return three_products(0);
    if (argc != 3)
        return 2;
    rounds = atoi(argv[1]);
    int threads = atoi(argv[2]);
    pthread_t all[64];
    for (int i = 0; i < threads && i < 64; i++)
        pthread_create(&all[i], NULL, worker, NULL);
    for (int i = 0; i < threads && i < 64; i++)
        pthread_join(all[i], NULL);
    return failures != 0;
}
