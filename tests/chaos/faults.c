/*
 * Products on a device that may fail, three rounds of them. Exits with 1 when a result is wrong.
 * Prints what the process holds at the end, for who looks for leaks.
 */
#include "holdings.h"
#include "products.h"

int main(void)
{
    prepare_products();
    for (int i = 0; i < 3 * PRODUCTS; i++)
        if (!is_right(i)) {
            printf("product %d is wrong\n", i);
            return 1;
        }
    struct holdings end = holdings();
    printf("HELD descriptors=%d mappings=%d\n", end.descriptors, end.device_mappings);
    return 0;
}
