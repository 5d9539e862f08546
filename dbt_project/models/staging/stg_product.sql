select
    product,
    manufacturer,
    department,
    brand,
    category,
    product_type,
    package_size
from {{ source('admitted', 'product') }}
