{#- Says how many rows each built table has, as one line of JSON that the runner reads. -#}
{% macro print_row_counts(results) -%}
    {%- if execute -%}
        {%- set counts = {} -%}
        {%- for result in results
            if result.node.resource_type == 'model'
            and result.node.config.materialized == 'table'
            and result.status == 'success' -%}
            {%- set found = run_query('select count(*) from ' ~ result.node.relation_name) -%}
            {%- do counts.update({result.node.name: found.columns[0].values()[0] | int}) -%}
        {%- endfor -%}
        {%- do print('rows ' ~ tojson(counts)) -%}
    {%- endif -%}
{%- endmacro %}
