/*
 * What this process holds: resident memory, descriptors, mappings of the device.
 */
#ifndef HOLDINGS_H
#define HOLDINGS_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

struct holdings {
    long resident_kib;
    int descriptors;
    int mappings;
    int device_mappings;
};

static struct holdings holdings(void)
{
    struct holdings now = {0};
    char line[512];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "VmRSS: %ld", &now.resident_kib);
    if (status)
        fclose(status);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        now.mappings++;
        /* A board's node and a simulated one. */
        now.device_mappings += strstr(line, "accel0") != NULL;
    }
    if (maps)
        fclose(maps);
    DIR *fds = opendir("/proc/self/fd");
    while (fds && readdir(fds))
        now.descriptors++;
    if (fds)
        closedir(fds);
    return now;
}

#endif
